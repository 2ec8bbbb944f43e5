"""Key bindings whose descriptions are text keys, put into the current language."""

from __future__ import annotations

from dataclasses import replace

from textual.binding import BindingsMap
from textual.dom import DOMNode

from tunesmith.tui.texts import t


def translate(node: DOMNode) -> None:
    """Called in `compose`, which runs again when the language changes; the class keeps the keys."""
    merged = type(node)._merged_bindings
    if merged is None:
        return
    node._bindings = BindingsMap(
        replace(binding, description=t(binding.description) if "." in binding.description else binding.description)
        for _, binding in merged
    )
