"""The export stage: every target of the recipe written, hashed and published into the job's artifacts."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from tunesmith.daemon import disk, publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import load, model_card, ollama, trained
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.lent import Lent
from tunesmith.recipes import exports
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.spec import WRITING, to_yaml
from tunesmith.recipes.words import of_error, say

RECIPE, CARD, SUMS = "recipe.yaml", "README.md", "SHA256SUMS"


def run(context: Context) -> None:
    write(context, context.spec.exports)


def write(context: Context, wanted: tuple[str, ...]) -> None:
    publish.remove_staged(context.artifacts)
    targets = {target: exports.find(target) for target in wanted}
    done = before = 0
    target = ""
    lent = Lent(context, lambda written: report(written), lambda what, share: report(int(share * sizes[target]), what))
    sizes = {target: card.size(lent, variant) for target, (card, variant) in targets.items()}
    total = max(1, sum(sizes.values()))
    hint = "Free some space, or leave some targets out of `exports`."
    disk.refuse_full(context.artifacts, sum(sizes.values()), "the exports need", hint)

    def report(written: int, doing: str = "") -> None:
        note = say("of_export", "{export}: {told}", export=target, told=doing) if doing else target
        context.progress(done + min(written, sizes[target]), total, "bytes", note, before)

    for target, (card, variant) in targets.items():
        context.exporting = target
        report(0)
        final = context.artifacts / card.file_name(variant)
        published = kept(context, final)
        before += 0 if published is None else sizes[target]
        if published is None:
            with publish.staging(final) as staged:
                lent.staged = staged
                card.write(lent, variant, staged)
                publish_it = publish.publish_folder if staged.is_dir() else publish.publish_file
                published = publish_it(staged, final, context.fence)
        lent.finished.add(final)
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
        if card.modelfile:
            text = ollama.modelfile(final.name, load.tokenizer(context.merged), context.merged)
            publish_text(context, f"Modelfile-{variant}", text)
    describe(context, wanted)
    context.progress(total, total, "bytes")


def kept(context: Context, final: Path) -> publish.Published | None:
    """What an earlier attempt of an export published, as the same run gives the same files; a damaged one is not."""
    if context.spec.task not in WRITING or not final.exists():
        return None
    try:
        return publish.verify_folder(final) if final.is_dir() else publish.verify_file(final)
    except MachineError as error:
        context.notice("warning", say("written_again", "{error}. It is written again.", error=of_error(error)))
        return None


def describe(context: Context, wanted: tuple[str, ...] | None = None) -> None:
    """The papers beside the artifacts: the recipe, what training came to, a model card, and the sums that
    `sha256sum -c` reads. `wanted` are the targets that were written, where they are not the recipe's.
    """
    written = context.spec if wanted is None else msgspec.structs.replace(context.spec, exports=wanted)
    known = model_card.Known(context.trained, context.verified, context.benchmarks, context.refused)
    card = model_card.text(written, context.artifacts, known)
    papers = {RECIPE: to_yaml(context.spec), CARD: card}
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
