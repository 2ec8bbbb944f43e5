"""Public benchmarks of a finished run: a tool of its own environment asks our own server, and its results are told."""
