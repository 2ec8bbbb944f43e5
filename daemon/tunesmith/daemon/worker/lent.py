"""What an export's card is lent of the worker: folders, watched commands, and llama.cpp's quantizer with its matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tunesmith.daemon.worker import compress, converting, environments, importance, native, oneshot, quantize
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.watched import run_watched
from tunesmith.recipes import compressing
from tunesmith.recipes import native as native_layouts
from tunesmith.recipes.compressing import Scheme
from tunesmith.recipes.errors import DataError
from tunesmith.recipes.exports import folder_bytes, gguf
from tunesmith.recipes.gguf_types import BLOCK
from tunesmith.recipes.models import gguf_header
from tunesmith.recipes.words import say

CALIBRATING = 0.9  # of the time that quantizing takes; then it is written
DONE = oneshot.DONE  # as native's
LEAST_TOKENS = 256  # below, most inputs are seen too rarely to say anything


class Lent:
    """`staged` is what is being written; `report` hears how many bytes of it are there, `note` what goes on and which
    share of the work is done by then.
    """

    def __init__(self, context: Context, report: Callable[[int], None], note: Callable[[str, float], None]) -> None:
        self.adapter, self.merged, self.base, self.vendor = (
            context.adapter, context.merged, context.base, context.vendor,
        )  # fmt: skip
        self.staged: Path | None = None
        self.finished: set[Path] = set()  # what this attempt has published: an earlier one's may be of other weights
        self._context = context
        self._report = report
        self._note = note

    def run(self, command: list[str]) -> None:
        run_watched(command, self._context.work, self._look)

    def convert(self, variant: str, staged: Path) -> None:
        self.run(converting.command(self.vendor, self.merged, variant, staged))

    def quantize(self, number: int, matrix: bool, staged: Path) -> None:
        """The merged model as llama.cpp's type `number`. Raises DataError where the rows are too few for a matrix."""
        source = self.converted()
        kept = self.matrix(source) if matrix else None
        self.run(quantize.command(source, staged, number, kept))
        if told := fallbacks(staged):
            self._say(told)

    def compress(self, kind: str, staged: Path) -> None:
        self.run(compress.command(self.merged, staged, kind))

    def oneshot(self, method: str, scheme: Scheme, staged: Path) -> None:
        """The merged model by llm-compressor. Raises DataError where the rows are too few, MachineError."""
        self._by_tool(compressing.TOOL, oneshot.__file__, method, scheme, staged)

    def native(self, method: str, scheme: Scheme, staged: Path) -> None:
        """The merged model by gptqmodel. Raises DataError where the rows are too few, MachineError."""
        self._by_tool(native_layouts.TOOL, native.__file__, method, scheme, staged)

    def _by_tool(self, tool_key: str, script: str, method: str, scheme: Scheme, staged: Path) -> None:
        """By a script that runs in the tool's environment and says in a file beside `staged` how far it is."""
        group = compressing.group_in(self.merged) if scheme.grouped else 0
        if scheme.grouped:
            self._say(compressing.why_this_group(self.merged))
        numbers = [str(scheme.bits), str(group)]
        given: list[str] = []
        if scheme.calibrated:
            path, tokens, rows = self.rows(f"to calibrate {self._context.exporting}")
            english = "Calibrated with {tokens} tokens in {rows} rows of the training data."
            self._say(say("calibrated", english, tokens=tokens, rows=rows))
            given = [str(path)]
        done = staged.with_name(staged.name + DONE)

        def look() -> None:
            self._look()
            if done.is_file() and not staged.exists():
                layer, _, layers = done.read_text("ascii").partition(" of ")
                note = say("layer_of", "layer {layer} of {layers}", layer=layer, layers=layers)
                self._note(note, CALIBRATING * int(layer or 0) / int(layers or 1))

        tool = environments.TOOLS[tool_key]
        try:
            with environments.opened(tool, self._context.home, self._told, self._patiently) as environment:
                arguments = [str(self.merged), str(staged), method, *numbers, *given]
                run_watched(environment.python(script, *arguments), self._context.work, look)
        finally:
            done.unlink(missing_ok=True)
        compress.take_along(self.merged, staged)

    def rows(self, purpose: str) -> tuple[Path, int, int]:
        """A file with token ids of the run's own rows, written once; how many tokens and rows. Raises DataError."""
        path = self._context.work / "calibration-rows.npz"
        if not path.is_file():
            rows = calibration(self._context, purpose)
            staged = path.with_name("calibration-staged.npz")
            np.savez(staged, tokens=np.concatenate(rows), lengths=np.array([len(row) for row in rows]))
            staged.rename(path)
        with np.load(path) as file:
            return path, len(file["tokens"]), len(file["lengths"])

    def _say(self, what: str) -> None:
        self._context.notice("info", say("of_export", "{export}: {told}", export=self._context.exporting, told=what))

    def _told(self, what: str) -> None:
        self._note(what, 0.0)

    def converted(self) -> Path:
        """The merged model as a GGUF in which nothing is lost: converted once, or the export that is that already."""
        kind = gguf.source(self.merged)
        published = self._context.artifacts / gguf.CARD.file_name(kind)
        if published in self.finished:
            return published
        path = self._context.work / f"converted-{kind}.gguf"
        if not path.is_file():
            self._note(say("converting", "converting"), 0.0)
            writing = path.with_name(f"writing-{path.name}")
            run_watched(
                converting.command(self.vendor, self.merged, kind, writing), self._context.work, self._patiently
            )
            writing.rename(path)
        return path

    def matrix(self, source: Path) -> Path:
        """The importance matrix for the run's own rows: computed once. Raises DataError."""
        path = self._context.work / "importance.npz"
        if path.is_file():
            return path
        given, tokens, rows = self.rows("for an importance matrix")
        staged = path.with_name("importance-staged.npz")
        done = staged.with_name(staged.name + importance.DONE)

        def look() -> None:
            row = done.read_text("ascii") if done.is_file() else ""
            self._note(say("matrix_row", "importance matrix, row {row} of {rows}", row=row or "0", rows=rows), 0.0)
            self._patiently()

        run_watched(importance.command(source, given, staged), self._context.work, look)
        staged.rename(path)
        english = "The importance matrix was made of {tokens} tokens in {rows} rows."
        self._context.notice("info", say("matrix_made", english, tokens=tokens, rows=rows))
        return path

    def _patiently(self) -> None:
        self._context.check_cancelled()

    def _look(self) -> None:
        self._context.check_cancelled()
        if self.staged is not None and self.staged.exists():
            self._report(folder_bytes(self.staged) if self.staged.is_dir() else self.staged.stat().st_size)


def calibration(context: Context, purpose: str) -> list[np.ndarray]:
    """Token ids of training rows, in the order of training, cut at LONGEST_ROW; compressing.CALIBRATION_TOKENS at most.

    Raises DataError where they are too few.
    """
    feed = context.prepared.feed
    rows: list[np.ndarray] = []
    tokens = 0
    for batch in feed.batches(0):
        for place in batch:
            ids = np.array(feed.sequence(*place)[0][: importance.LONGEST_ROW], np.int32)
            rows.append(ids[: compressing.CALIBRATION_TOKENS - tokens])
            tokens += len(rows[-1])
            if tokens >= compressing.CALIBRATION_TOKENS:
                return rows
    if tokens < LEAST_TOKENS:
        raise DataError(
            f"The training rows have {tokens} tokens, too few {purpose}: {LEAST_TOKENS} are needed",
            "Give more rows with `--data`, or export what needs none: `gguf:q4_k_m-plain`, `gguf:q8_0`, `fp8`.",
            "too_few_rows",
        )
    return rows


def fallbacks(path: Path) -> str:
    """How many tensors of a quantized file another type was taken for, as their rows do not fit its blocks."""
    found = quantize.fell_back(path)
    taken = Counter(dtype for dtype, _ in found.values())
    matrices = sum(len(one.shape) > 1 for one in gguf_header.header(path).tensors.values())
    if not taken:
        return ""
    return say(
        "other_blocks",
        "{count} of {matrices} matrices have rows of {rows} weights, which blocks of {block} do not divide; they are "
        "kept in blocks of 32, {kinds}.",
        count=taken.total(),
        matrices=matrices,
        rows=", ".join(map(str, sorted({row for _, row in found.values()}))),
        block=BLOCK,
        kinds=", ".join(f"{count} × {kind}" for kind, count in taken.most_common()),
    )
