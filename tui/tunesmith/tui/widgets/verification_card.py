"""How one exported file compares with the merged model, as a card."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from tunesmith.daemon.api.events import Verified
from tunesmith.recipes.units import count_text
from tunesmith.tui.plain import one_line
from tunesmith.tui.run_words import verification_text
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.loss_chart import scientific

LABEL_CELLS = 16


class VerificationCard(Static):
    """Passed or not as the first word; then the figures it rests on."""

    DEFAULT_CSS = """
    VerificationCard { height: auto; width: 1fr; border: round $success 60%; padding: 0 1;
                       border-title-style: bold; border-title-color: $foreground; }
    VerificationCard.-failed { border: round $error; }
    """

    def __init__(self, verified: Verified) -> None:
        super().__init__(_card(verified), markup=False, classes="" if verified.passed else "-failed")
        self.border_title = Content(one_line(verified.key))


def _card(v: Verified) -> Content:
    verdict = (f"✓ {t('result.passed')}", "$success bold") if v.passed else (f"✗ {t('result.failed')}", "$error bold")
    lines = [Content.assemble(verdict), *(_seen(v) if v.embedding_error is not None else _spoken(v))]
    if v.why:
        lines.append(Content.styled(one_line(verification_text(v)), "$error"))
    return Content("\n").join(lines)


def _seen(v: Verified) -> list[Content]:
    """Of what a model sees with."""
    return [
        _line(t("result.embeddings"), embeddings_text(v), v.passed),
        _line(t("result.tokens_compared"), count_text(v.tokens_compared)),
    ]


def embeddings_text(v: Verified) -> str:
    """How far a picture's embeddings are off, beside what is allowed; nothing where none were compared."""
    if v.embedding_error is None or v.embedding_limit is None:
        return ""
    below = "≤" if v.embedding_error <= v.embedding_limit else ">"
    return f"{scientific(v.embedding_error)} {below} {scientific(v.embedding_limit)}"


def _spoken(v: Verified) -> list[Content]:
    below = v.kl_divergence <= v.kl_limit
    lines = [
        _line(t("result.kl"), f"{scientific(v.kl_divergence)} {'≤' if below else '>'} {scientific(v.kl_limit)}", below),
        _line(t("result.top1"), f"{v.top1_agreement:.1%}"),
        _line(t("result.tokens_compared"), count_text(v.tokens_compared)),
        _line(t("result.prompt"), t("result.equal") if v.prompt_equal else t("result.differs"), v.prompt_equal),
        _line(t("result.ids"), t("result.equal") if v.token_ids_equal else t("result.differs"), v.token_ids_equal),
    ]
    if v.graded:
        lines.append(_line(t("result.correct"), f"{v.correct}/{v.graded}"))
    if v.perplexity is not None and v.merged_perplexity is not None:
        both = t("result.beside_model", export=f"{v.perplexity:.2f}", model=f"{v.merged_perplexity:.2f}")
        lines.append(_line(t("result.perplexity"), both))
    return lines


def _line(label: str, value: str, holds: bool | None = None) -> Content:
    mark: str | tuple[str, str] = "" if holds is None else (" ✓", "$success") if holds else (" ✗", "$error bold")
    return Content.assemble(Content.styled(label, "$foreground 60%").truncate(LABEL_CELLS, pad=True), " ", value, mark)
