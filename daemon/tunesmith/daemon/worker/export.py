"""The export stage: every target of the recipe written, hashed and published into the job's artifacts."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tunesmith.daemon import disk, publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import model_card, trained
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.watched import run_watched
from tunesmith.recipes import exports
from tunesmith.recipes.spec import to_yaml

RECIPE, CARD, SUMS = "recipe.yaml", "README.md", "SHA256SUMS"


class Lent:
    """What a card sees of the worker: the folders, and a `run` that reports how much of `staged` is written."""

    def __init__(self, context: Context, report: Callable[[int], None]) -> None:
        self.adapter, self.merged, self.base, self.vendor = (
            context.adapter, context.merged, context.base, context.vendor,
        )  # fmt: skip
        self.staged: Path | None = None
        self._context = context
        self._report = report

    def run(self, command: list[str]) -> None:
        run_watched(command, self._context.work, self._look)

    def _look(self) -> None:
        self._context.check_cancelled()
        if self.staged is not None and self.staged.is_file():
            self._report(self.staged.stat().st_size)


def run(context: Context) -> None:
    publish.remove_staged(context.artifacts)
    targets = {target: exports.find(target) for target in context.spec.exports}
    done = 0
    target = ""
    lent = Lent(context, lambda written: report(written))
    sizes = {target: card.size(lent, variant) for target, (card, variant) in targets.items()}
    total = max(1, sum(sizes.values()))
    hint = "Free some space, or leave some targets out of `exports`."
    disk.refuse_full(context.artifacts, sum(sizes.values()), "the exports need", hint)

    def report(written: int) -> None:
        context.progress(done + min(written, sizes[target]), total, "bytes", target)

    for target, (card, variant) in targets.items():
        report(0)
        final = context.artifacts / card.file_name(variant)
        with publish.staging(final) as staged:
            lent.staged = staged
            card.write(lent, variant, staged)
            publish_it = publish.publish_folder if staged.is_dir() else publish.publish_file
            published = publish_it(staged, final, context.fence)
        context.emit(
            e.ArtifactWritten(
                time=time.time(),
                key=target,
                path=final.relative_to(context.job).as_posix(),
                bytes=published.bytes,
                sha256=published.sha256,
            )
        )
        done += sizes[target]
    describe(context, ())
    context.progress(total, total, "bytes")


def describe(context: Context, verified: tuple[e.Verified, ...]) -> None:
    """The papers beside the artifacts: the recipe, what training came to, a model card, and the sums that
    `sha256sum -c` reads.
    """
    papers = {RECIPE: to_yaml(context.spec), CARD: model_card.text(context.spec, verified, context.trained)}
    if context.trained is not None:
        papers[trained.FILE] = trained.encode(context.trained)
    for name, text in papers.items():
        publish_text(context, name, text)
    publish_text(context, SUMS, sums(context.artifacts))


def publish_text(context: Context, name: str, text: str) -> None:
    final = context.artifacts / name
    with publish.staging(final) as staged:
        staged.write_text(text, "utf-8")
        publish.publish_file(staged, final, context.fence)


def sums(folder: Path) -> str:
    """A line a published file of `folder` and of the published folders in it, from the manifests."""
    lines = {}
    for manifest in folder.rglob(publish.MANIFEST):
        for name, published in publish.read_manifest(manifest.parent).files.items():
            path = (manifest.parent / name).relative_to(folder).as_posix()
            lines[path] = f"{published.sha256}  {path}\n"
    lines.pop(SUMS, None)  # it cannot hold its own
    return "".join(lines[path] for path in sorted(lines))
