"""The trained adapter alone, as peft saves it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tunesmith.recipes.exports import Export, ExportContext


def write(context: ExportContext, variant: str, staged: Path) -> None:
    shutil.copytree(context.adapter, staged)


CARD = Export(
    key="adapter",
    title="Adapter",
    blurb="The small trained part, to be loaded beside the base with peft.",
    variants=("",),
    file_name=lambda variant: "adapter",
    write=write,
)
