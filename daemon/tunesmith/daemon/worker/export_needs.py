"""What the exports of a run need, looked at before hours of training: a model that suits them, and their tools."""

from __future__ import annotations

from pathlib import Path

from tunesmith.daemon.worker import environments
from tunesmith.daemon.worker.context import Context
from tunesmith.recipes import exports, models
from tunesmith.recipes.errors import ModelError
from tunesmith.recipes.spec import JobSpec


def refuse_unsuited(spec: JobSpec, base: Path) -> None:
    """Raises ModelError when an export cannot be made of such a model."""
    choosy = [target for target in spec.exports if exports.find(target)[0].unsuited is not exports.suits_all]
    for target in choosy:
        if reason := exports.find(target)[0].unsuited(models.read(base)):
            raise ModelError(
                f"{target} cannot be made of this model: {reason}",
                f"Leave {target} out of `exports`; `gguf:q8_0` and `merged` need no such thing.",
                "not_quantizable",
            )


def refuse_without_files(spec: JobSpec, base: Path) -> None:
    """Raises ModelError when an export needs a file that the base's folder does not have."""
    for target in spec.exports:
        names = exports.find(target)[0].needs_file
        if names and not any((base / name).is_file() for name in names):
            raise ModelError(
                f"{target} needs {' or '.join(names)} in the base's folder, and there is none",
                f"Fetch the model again with all of its files, or leave {target} out of `exports`.",
                "model_files",
            )


def install_tools(context: Context) -> None:
    """Each in an environment of its own, where it is not there yet. Raises MachineError."""
    for key in sorted({exports.find(target)[0].tool for target in context.spec.exports} - {""}):
        tool = environments.TOOLS[key]
        with environments.opened(tool, context.home, lambda what: told(context, what), context.check_cancelled):
            pass


def told(context: Context, what: str) -> None:
    context.progress(0, 1, "files", what)
