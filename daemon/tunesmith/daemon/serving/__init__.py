"""Models that answer: which there are, the processes that hold them, and what these are asked. No engine is in here."""
