"""Rows of data: what one is, and how a file of them is read. No engine, no network."""
