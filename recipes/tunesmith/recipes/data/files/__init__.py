"""Data files: found, unpacked, decoded and read row by row."""
