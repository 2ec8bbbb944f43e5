"""What an export is loaded in to be verified: llama.cpp, transformers, or transformers where its tool is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path

from tunesmith.daemon.worker import converting, environments
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.environments import Environment
from tunesmith.daemon.worker.llama import Engine
from tunesmith.daemon.worker.reloaded import Folder, Reloaded
from tunesmith.daemon.worker.reloaded_apart import Apart
from tunesmith.daemon.worker.watched import run_watched
from tunesmith.recipes import exports
from tunesmith.recipes.exports import gguf
from tunesmith.recipes.words import say

Opened = Callable[[int, bool], AbstractContextManager[Engine | Folder]]


@contextmanager
def runtime(context: Context, target: str) -> Iterator[Opened]:
    """What opens the export for so many tokens of context, with logits of every position or of the last alone.

    A folder is loaded once for all of that. Raises ModelError, MachineError.
    """
    card, variant = exports.find(target)
    path = context.artifacts / card.file_name(variant)
    with ExitStack() as stack:
        if card.runtime != exports.TRANSFORMERS:
            yield lambda tokens, logits: llama(context, card, path, tokens, logits)
            return
        if card.apart:
            environment = stack.enter_context(environment_of(context, card, target))
            folder: Folder = stack.enter_context(Apart(environment, path, context.work))
        else:
            folder = stack.enter_context(Reloaded(path))
        yield lambda tokens, logits: nullcontext(folder)


def environment_of(context: Context, card: exports.Export, target: str) -> AbstractContextManager[Environment]:
    def told(what: str) -> None:
        context.progress(0, 1, "files", say("of_export", "{export}: {told}", export=target, told=what))

    return environments.opened(environments.TOOLS[card.tool], context.home, told, context.check_cancelled)


def llama(context: Context, card: exports.Export, path: Path, tokens: int, logits: bool) -> Engine:
    file, adapter = (base_gguf(context), path) if card.beside_base else (path, None)
    return Engine(file, context_tokens=tokens, logits_all=logits, adapter=adapter)


def base_gguf(context: Context) -> Path:
    """The base as a GGUF in which nothing of it is lost, for an adapter to be loaded on."""
    path = context.work / "base.gguf"
    if not path.is_file():
        kind = gguf.source(context.base)
        run_watched(
            converting.command(context.vendor, context.base, kind, path),
            context.work,
            lambda: context.check_cancelled(),
        )
    return path
