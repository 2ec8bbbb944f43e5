"""Parquet: row by row through pyarrow, in batches of about a mebibyte.

Dates, times and decimals become text; bytes stay bytes. A row whose text is not UTF-8 costs that row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import IO, Any

from tunesmith.recipes.data.files.formats import Format, Row
from tunesmith.recipes.data.files.json_rows import first_doubled, too_long
from tunesmith.recipes.data.files.limits import Limits
from tunesmith.recipes.data.files.opened import Opened
from tunesmith.recipes.data.reasons import BadRow, short
from tunesmith.recipes.data.rows import RawRow

BATCH_BYTES = 2**20
MOST_ROWS = 2048
ROWS_PROBED = 8


def rows(opened: Opened) -> Iterator[Row]:
    import pyarrow

    try:
        with opened.path.open("rb") as raw, open_table(raw) as file:
            names = file.schema_arrow.names
            if (doubled := first_doubled(names)) is not None:
                raise BadRow("bad_header", error=f"the column {short(doubled)} stands twice")
            as_text = any(has_times(field.type) for field in file.schema_arrow)
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(batch_size(file, group), row_groups=[group]):
                    opened.bytes_read += batch.nbytes
                    yield from rows_of_batch(batch, opened, plain if as_text else same)
    except FileNotFoundError as error:
        raise BadRow("unreadable", error=error.strerror or error) from error
    except (pyarrow.ArrowException, OSError, ValueError, MemoryError, RecursionError) as error:
        if isinstance(error, BadRow):
            raise
        raise BadRow("broken_off", error=short(str(error).strip() or type(error).__name__, 200)) from error


def open_table(raw: IO[bytes]) -> Any:
    """A ParquetFile that reads columns piece by piece: a group of rows may be as large as the file."""
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(raw, buffer_size=BATCH_BYTES, pre_buffer=False)


def batch_size(file: Any, group: int) -> int:
    """Rows of a group that are about BATCH_BYTES; a few are looked at, as a text stored once may stand in every row."""
    about = file.metadata.row_group(group)
    sizes: list[int] = [batch.nbytes for batch in islice(file.iter_batches(1, row_groups=[group]), ROWS_PROBED)]
    row_bytes: int = max(1, about.total_byte_size // max(1, about.num_rows), *sizes)
    return max(1, min(MOST_ROWS, BATCH_BYTES // row_bytes))


def rows_of_batch(batch: Any, opened: Opened, change: Callable[[Any], Any]) -> Iterator[Row]:
    values: list[Any] | None = None
    if batch.nbytes <= opened.limits.row_bytes:
        with suppress(ValueError, KeyError):  # somewhere in the batch; taken row by row it costs only its own
            values = batch.to_pylist(maps_as_pydicts="strict")
    if values is None:
        for place in range(batch.num_rows):
            opened.line += 1
            try:
                yield RawRow(opened.file, opened.line, change(one_row(batch.slice(place, 1), opened.limits)))
            except BadRow as error:
                yield error.at(opened.file, opened.line)
        return
    for value in values:
        opened.line += 1
        yield RawRow(opened.file, opened.line, change(value))


def one_row(batch: Any, limits: Limits) -> Any:
    """The value of a batch of one row. Raises BadRow."""
    if batch.nbytes > limits.row_bytes:
        raise too_long(limits)
    try:
        return batch.to_pylist(maps_as_pydicts="strict")[0]
    except UnicodeDecodeError as error:
        raise BadRow("not_utf8", byte=error.start) from error
    except KeyError as error:
        raise BadRow("duplicate_key", key=short(error.args[0])) from error


def has_times(kind: Any) -> bool:
    """Whether values of this Arrow type hold dates, times or decimals."""
    import pyarrow.types as t

    if t.is_temporal(kind) or t.is_decimal(kind):
        return True
    return any(has_times(kind.field(place).type) for place in range(kind.num_fields))


def same(value: Any) -> Any:
    return value


def plain(value: Any) -> Any:
    """`value` with everything JSON has no kind for as text, but for bytes."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if isinstance(value, str | bytes | int | float | None) else str(value)


CARD = Format(
    key="parquet",
    title="Parquet",
    suffixes=(".parquet", ".pq"),
    sniff=lambda head: head.startswith(b"PAR1"),
    rows=rows,
    binary=True,
)
