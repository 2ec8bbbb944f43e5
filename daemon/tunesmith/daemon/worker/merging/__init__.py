"""An adapter merged into its base file by file: a few megabytes at a time are in memory, never the model."""
