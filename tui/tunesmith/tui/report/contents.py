"""What a run's report says, in the current language: all of it comes from the run's view and recipe."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import PurePath

import msgspec

from tunesmith.daemon.api.compare import flat
from tunesmith.daemon.api.events import Answered, Verified
from tunesmith.daemon.api.view import FINISHED, JobView
from tunesmith.recipes.machine import Machine
from tunesmith.recipes.spec import JobSpec, complete, to_yaml
from tunesmith.recipes.units import bytes_text, count_text, duration_text, flops_text
from tunesmith.tui.explained import told
from tunesmith.tui.machine_text import processor
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.report import curves
from tunesmith.tui.report.benchmarks import benchmarks
from tunesmith.tui.report.blocks import Block, Code, Heading, Paragraph, Picture, Table
from tunesmith.tui.report.measured import measured
from tunesmith.tui.reproduce import command, more_command
from tunesmith.tui.run_words import notice_text, rejected_texts, taken_text, why_text
from tunesmith.tui.texts import shown, t
from tunesmith.tui.widgets.compared import value_text
from tunesmith.tui.widgets.computing import part_name
from tunesmith.tui.widgets.feed import NOTICE_MARKS, subject_name
from tunesmith.tui.widgets.loss_chart import number, scientific
from tunesmith.tui.widgets.verification_card import embeddings_text

SUBJECTS = ("base", "tuned", "gguf")
REJECTED_SHOWN = 20  # reasons; all of them are in the job's folder
ANSWER_CHARACTERS = 2000


def contents(view: JobView, recipe: JobSpec | None, machine: Machine | None) -> list[Block]:
    """`recipe` is None where it cannot be read any more, `machine` where the run was made elsewhere."""
    return [
        *_head(view),
        *_scores(view),
        *measured(view),
        *benchmarks(view),
        *_curves(view),
        *_answers(view),
        *_recipe(recipe),
        *_data(view),
        *_machine(view, machine),
        *_stages(view),
        *_exports(view),
        *_notices(view),
        *_again(view),
    ]


def title(view: JobView) -> str:
    return f"{t('run.job', id=view.id)}: {one_line(view.name)}"


def _head(view: JobView) -> Iterator[Block]:
    yield Heading(title(view), 1)
    took = duration_text(view.ended - view.started) if view.ended and view.started else "—"
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(view.created)) if view.created else "—"
    yield Paragraph(t("report.lead", state=t(f"run.state_{view.state}"), when=when, took=took))
    if view.error is not None:
        yield Paragraph(plain(told(view.error)[0]), "✗")
        yield Paragraph(plain(view.error.hint))
    if (early := view.stopped_early) is not None:
        yield Paragraph(t("result.stopped_early", step=early.step, total=early.total_steps), "!")
    before, after = view.correct("base"), view.correct("tuned")
    if before[1] and after[1]:
        yield Paragraph(t("result.sentence", before=before[0], after=after[0], graded=after[1]))


def _scores(view: JobView) -> Iterator[Block]:
    counts = [(subject_name(subject), *view.correct(subject)) for subject in SUBJECTS if view.correct(subject)[1]]
    scores = {score.subject: score for score in view.scores}
    if not counts and not scores:
        return
    yield Heading(t("result.scores"))
    if counts:
        yield Picture("answers", curves.answers(counts), t("report.answers_said"))
    rows = []
    for key in ("held_out_loss", "held_out_perplexity", "general_perplexity"):
        values = [getattr(scores[subject], key) if subject in scores else None for subject in ("base", "tuned")]
        if any(value is not None for value in values):
            change = f"{values[1] / values[0] - 1:+.1%}" if values[0] and values[1] is not None else "—"
            rows.append((t(f"result.{key}"), *("—" if v is None else number(v) for v in values), change))
    if rows:
        head = ("", subject_name("base"), subject_name("tuned"), t("compare.column_change"))
        yield Table(head, tuple(rows), frozenset({1, 2, 3}))


def _curves(view: JobView) -> Iterator[Block]:
    if not view.losses:
        return
    yield Heading(t("report.curves"))
    steps = view.step.total_steps if view.step is not None else 0
    for name, svg in (
        ("loss", curves.loss(view.losses, view.held_out_losses(), steps)),
        ("rate", curves.rate(view.learning_rates, steps)),
    ):
        if svg:
            yield Picture(name, svg, t(f"report.{name}_said"))


def _answers(view: JobView) -> Iterator[Block]:
    for set_name in dict.fromkeys(answer.set_name for answer in view.answers):
        here = [answer for answer in view.answers if answer.set_name == set_name]
        rows: dict[int, dict[str, Answered]] = {}
        for answer in here:
            rows.setdefault(answer.row, {})[answer.subject] = answer
        present = {answer.subject for answer in here}
        subjects = [subject for subject in SUBJECTS if subject in present] + sorted(present.difference(SUBJECTS))
        yield Heading(t("result.before_after") if set_name == "held_out" else t("result.kept"))
        head = (t("result.question"), t("report.expected"), *map(subject_name, subjects))
        yield Table(head, tuple(_row(rows[row], subjects) for row in sorted(rows)))
    if view.samples:
        yield Heading(t("report.samples"))
        head = (t("run.step"), t("result.question"), t("report.answer"))
        yield Table(head, tuple(
            (str(s.step), plain(s.question).strip(), _said(s.answer, s.correct)) for s in view.samples
        ), frozenset({0}))  # fmt: skip


def _row(given: dict[str, Answered], subjects: list[str]) -> tuple[str, ...]:
    first = next(iter(given.values()))
    said = (_said(given[s].answer, given[s].correct) if s in given else "—" for s in subjects)
    return plain(first.question).strip(), plain(first.expected).strip() or "—", *said


def _said(answer: str, correct: bool | None) -> str:
    mark = "" if correct is None else f"✓ {t('run.right')}\n" if correct else f"✗ {t('run.wrong')}\n"
    return mark + (plain(answer).strip()[:ANSWER_CHARACTERS] or "—")


def _recipe(recipe: JobSpec | None) -> Iterator[Block]:
    yield Heading(t("rail.recipe"))
    if recipe is None:
        yield Paragraph(t("report.no_recipe"), "!")
        return
    usual = dict(flat(msgspec.to_builtins(complete(JobSpec()))))
    rows = [
        (key, value_text(value), value_text(usual[key]) if key in usual else "—")
        for key, value in flat(msgspec.to_builtins(recipe))
        if key not in usual or usual[key] != value
    ]
    if rows:
        yield Table((t("report.key_name"), t("report.value"), t("report.usual")), tuple(rows))
    yield Code(plain(to_yaml(recipe)), "yaml", t("report.whole_recipe"))


def _data(view: JobView) -> Iterator[Block]:
    if not view.data:
        return
    yield Heading(t("rail.data"))
    names = ("file", "read", "kept", "rejected", "tokens", "trained", "longest")
    rows = [
        (one_line(d.file), *(f"{n:,}" for n in (
            d.rows_read, d.rows_kept, d.rows_rejected, d.tokens, d.trained_tokens, d.longest)))
        for d in view.data
    ]  # fmt: skip
    yield Table(tuple(t(f"report.data_{name}") for name in names), tuple(rows), frozenset(range(1, 7)))
    rejected = [one_line(reason) for checked in view.data for reason in rejected_texts(checked)]
    if rejected:
        said = "\n".join(rejected[:REJECTED_SHOWN])
        more = len(rejected) - REJECTED_SHOWN
        yield Code(f"{said}\n… +{more}" if more > 0 else said, "text", t("report.rejected"))


def _machine(view: JobView, machine: Machine | None) -> Iterator[Block]:
    rows: list[tuple[str, str]] = []
    if machine is not None:
        rows.append((t("machine.cpu"), processor(machine)))
        rows.append((t("machine.memory"), bytes_text(machine.memory_bytes)))
        rows += [
            (device.kind, f"{one_line(device.name)}, {bytes_text(device.memory_bytes)}")
            for device in machine.devices
            if device.kind != "cpu"
        ]
    if view.base is not None:
        rows.append((t("rail.model"), f"{one_line(view.base.source)}, {bytes_text(view.base.bytes)}"))
    if (limit := view.limit) is not None:
        rate = flops_text(limit.flops_per_second)
        said = t("computing.limit", rate=rate, dtype=limit.dtype, device=limit.device)
        rows.append((t("computing.limit_name"), one_line(said)))
    if (step := view.step) is not None:
        rows.append((t("run.tokens_per_second"), count_text(step.tokens_per_second)))
        if step.flops_per_second:
            share = "" if step.limit_share is None else f" ({step.limit_share:.0%})"
            rows.append((t("run.flops"), flops_text(step.flops_per_second) + share))
    if (memory := view.memory) is not None:
        said = bytes_text(memory.peak)
        if view.forecast is not None:
            said += f" ({t('computing.forecast', bytes=bytes_text(view.forecast.bytes))})"
        rows.append((t("computing.memory_peak"), said))
    if rows:
        yield Heading(t("rail.machine"))
        yield Table((t("report.what"), t("report.value")), tuple(rows))
    if view.paths:
        head = (t("report.part"), t("report.computed"), t("report.why"))
        yield Heading(t("computing.paths"), 3)
        yield Table(head, tuple(
            (part_name(p.part), ("" if p.fastest else f"! {t('computing.slower_mark')}: ") + one_line(taken_text(p)),
             one_line(why_text(p))) for p in view.paths
        ))  # fmt: skip


def _stages(view: JobView) -> Iterator[Block]:
    rows = []
    for stage in view.stages:
        if stage.state != "waiting":
            known = shown(f"run.stage_state_{stage.state}")
            took = known if stage.seconds is None else duration_text(stage.seconds)
            rows.append((t(f"run.stage_{stage.name}"), took))
    if rows:
        yield Heading(t("report.stages"))
        yield Table((t("report.stage"), t("jobs.column_took")), tuple(rows), frozenset({1}))


def _exports(view: JobView) -> Iterator[Block]:
    if view.artifacts:
        yield Heading(t("result.files"))
        head = (t("report.export"), t("model.size"), t("report.path"), "SHA-256")
        yield Table(head, tuple(
            (one_line(a.key), bytes_text(a.bytes), one_line(str(PurePath(view.folder, a.path))), one_line(a.sha256))
            for a in view.artifacts
        ), frozenset({1}))  # fmt: skip
    if view.verified:
        yield Heading(t("result.verification"))
        titles = (t("report.export"), "", t("result.kl"), t("result.top1"), t("result.tokens_compared"),
                t("result.prompt"), t("result.ids"), t("result.correct"))  # fmt: skip
        yield Table(titles, tuple(map(_verified, view.verified)), frozenset({2, 3, 4, 7}))
    elif view.state == FINISHED:
        yield Paragraph(t("result.not_verified"), "!")


def _verified(v: Verified) -> tuple[str, ...]:
    verdict = (one_line(v.key), f"✓ {t('result.passed')}" if v.passed else f"✗ {t('result.failed')}")
    if seen := embeddings_text(v):  # of what it sees with nothing else is known
        return (*verdict, f"{t('result.embeddings')}: {seen}", *("—",) * 5)
    return (
        *verdict,
        f"{scientific(v.kl_divergence)} {'≤' if v.kl_divergence <= v.kl_limit else '>'} {scientific(v.kl_limit)}",
        f"{v.top1_agreement:.1%}",
        count_text(v.tokens_compared),
        t("result.equal") if v.prompt_equal else t("result.differs"),
        t("result.equal") if v.token_ids_equal else t("result.differs"),
        f"{v.correct}/{v.graded}" if v.graded else "—",
    )


def _notices(view: JobView) -> Iterator[Block]:
    if view.notices:
        yield Heading(t("report.notices"))
        for notice in view.notices:
            yield Paragraph(plain(notice_text(notice)), NOTICE_MARKS.get(notice.level, NOTICE_MARKS["info"])[0])


def _again(view: JobView) -> Iterator[Block]:
    yield Heading(t("result.again"))
    yield Code(command(view), "bash")
    if more := more_command(view):
        yield Heading(t("result.more"), 3)
        yield Code(more, "bash")
