"""The files a run made: what each is, its size, where it lies, and its hash's beginning."""

from __future__ import annotations

from pathlib import PurePath

from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.widget import Widget

from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.units import bytes_text
from tunesmith.tui.plain import one_line
from tunesmith.tui.texts import t

KEY_CELLS = 12
HASH_CHARACTERS = 12


class ArtifactList(Widget):
    """Paths are shown whole, wrapped: they are there to be copied."""

    DEFAULT_CSS = """
    ArtifactList { height: auto; }
    """

    view: reactive[JobView | None] = reactive(None, layout=True)
    later: reactive[tuple[JobView, ...]] = reactive((), layout=True)  # jobs that exported the run again

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        if self.view is None or width < 10:
            return []
        found = [(one, artifact) for one in (self.view, *self.later) for artifact in one.artifacts]
        if not found:
            return [Content.styled(t("result.no_artifacts"), "$foreground 60%")]
        lines: list[Content] = []
        for one, artifact in found:
            key = Content.styled(one_line(artifact.key), "bold $primary").truncate(KEY_CELLS, pad=True)
            digest = (f"sha256 {artifact.sha256[:HASH_CHARACTERS]}", "$foreground 60%")
            head = Content.assemble(key, f" {bytes_text(artifact.bytes):>9}  ", digest)
            path = Content(one_line(str(PurePath(one.folder, artifact.path))))
            lines += [head.truncate(width, ellipsis=True)]
            lines += [Content.assemble("  ", line) for line in path.fold(max(8, width - 2))]
        return lines
