"""How many rows files can have at most, found without reading the rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tunesmith.recipes.data.files.sources import SourceFile

BLOCK_BYTES = 1 << 22
ROW_A_LINE = ("jsonl", "csv", "tsv")  # formats whose rows end with a line end at the latest


def most_rows(files: Sequence[SourceFile]) -> int | None:
    """At least the rows that `files` have; None where only reading tells."""
    counts = [most_rows_of(file) for file in files]
    return None if None in counts else sum(count for count in counts if count is not None)


def most_rows_of(file: SourceFile) -> int | None:
    if file.compression:
        return None
    if file.format in ROW_A_LINE:
        return line_ends(Path(file.path)) + 1
    if file.format == "parquet":
        import pyarrow
        import pyarrow.parquet

        try:
            return int(pyarrow.parquet.read_metadata(file.path).num_rows) + 1  # and one for a file that breaks off
        except (pyarrow.ArrowException, OSError):
            return None
    return None


def line_ends(path: Path) -> int:
    count = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            count += block.count(b"\n")
    return count
