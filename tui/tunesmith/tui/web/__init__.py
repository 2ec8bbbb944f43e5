"""The wizard in a browser, on this machine alone: one process of the wizard a tab, through textual-serve."""
