"""How results look: data on standard output, everything else on standard error, colour never the only sign."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tunesmith.daemon.api.events import Answered, Verified
from tunesmith.daemon.api.report import Report
from tunesmith.daemon.api.retention import PARTS, Cleaned, Sizes
from tunesmith.daemon.api.view import QUEUED, JobView
from tunesmith.recipes.planner.ways import NAMES
from tunesmith.recipes.spec import BENCHMARK, EVALUATE
from tunesmith.recipes.units import bytes_text, duration_text
from tunesmith.tui import benchmarks_text, scores_text
from tunesmith.tui import plain as texts
from tunesmith.tui.cli.benchmarks import print_benchmarks
from tunesmith.tui.cli.computing_text import computing, computing_lines
from tunesmith.tui.cli.scores import print_scores
from tunesmith.tui.plain import for_json, harmless, plain
from tunesmith.tui.run_words import notice_text, verification_text, words

STATE_STYLES = {
    "finished": "green", "running": "cyan", "failed": "red", "cancelled": "yellow", "cancelling": "yellow",
    "pausing": "yellow", "paused": "yellow", "interrupted": "red",
}  # fmt: skip
PIPE_WIDTH = 120  # characters of a table that goes into a file or pipe, where nobody says how wide it may be


def out() -> Console:
    console = HarmlessConsole(highlight=False, markup=False, soft_wrap=False)
    return console if console.is_terminal else HarmlessConsole(highlight=False, markup=False, width=PIPE_WIDTH)


def err() -> Console:
    return HarmlessConsole(stderr=True, highlight=False, markup=False, soft_wrap=True)


class HarmlessConsole(Console):
    """Whatever text it is given, only its own styles and cursor movements reach the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            clean = segment.text if segment.control else harmless(segment.text)
            yield segment if clean == segment.text else Segment(clean, segment.style)


def print_plain(text: str, end: str = "\n") -> None:
    """Text that is nobody's of ours, on standard output."""
    print(plain(text), end=end, flush=True)


def print_json(value: Any) -> None:
    """One line, one object, flushed: the last line that a `--json` command writes."""
    try:
        text = msgspec.json.encode(value).decode("utf-8")
    except UnicodeEncodeError:  # a file whose name is not UTF-8: halves of characters, which JSON can say
        text = json.dumps(msgspec.to_builtins(value))
    print(for_json(text), flush=True)


def state_text(state: str) -> Text:
    return Text(state, STATE_STYLES.get(state, ""))


def stage_now(view: JobView) -> str:
    """The stage a running job is in, or the one it failed in; else nothing."""
    return next((stage.name for stage in view.stages if stage.state in ("running", "failed")), "")


def waiting_text(view: JobView) -> str:
    """What a queued job waits for; empty where it does not wait, or only for those before it."""
    if view.state != QUEUED or view.waiting is None:
        return ""
    waiting = view.waiting
    what = NAMES.get(waiting.what, waiting.what)
    return f"waits for {what}: needs {bytes_text(waiting.needed)}, {bytes_text(waiting.free)} free"


def summary(view: JobView) -> dict[str, Any]:
    """A job in a line of a list."""
    return {
        "run": view.id,
        "name": view.name,
        "task": view.task,
        "of": view.of,
        "state": view.state,
        "stage": stage_now(view),
        "waiting": view.waiting if waiting_text(view) else None,
        "created": view.created,
        "started": view.started,
        "ended": view.ended,
        "folder": view.folder,
        "checkpoint_step": view.checkpoint and view.checkpoint.step,
        "error": view.error,
        "stalled": view.stalled is not None,
        "finishing": view.finishing,
    }


def result(view: JobView) -> dict[str, Any]:
    """What a run came to: the figures of `quickstart --json`; None where the run measured nothing."""
    base, tuned = score(view, "base"), score(view, "tuned")
    return {
        "run": view.id,
        "name": view.name,
        "state": view.state,
        "seconds": round(run_seconds(view), 1),
        "base_correct": correct(view, "base"),
        "tuned_correct": correct(view, "tuned"),
        "gguf_correct": correct(view, "gguf"),
        "base_stopped": stopped(view, "base"),
        "tuned_stopped": stopped(view, "tuned"),
        "gguf_stopped": stopped(view, "gguf"),
        "held_out": max(view.correct(subject)[1] for subject in ("base", "tuned", "gguf")),
        "held_out_loss_before": base.get("held_out_loss"),
        "held_out_loss_after": tuned.get("held_out_loss"),
        "general_perplexity_before": base.get("general_perplexity"),
        "general_perplexity_after": tuned.get("general_perplexity"),
        "scores": scores_text.as_json(view),
        "benchmarks": benchmarks_text.as_json(view),
        "kl_f16": divergence(view, "gguf:f16"),
        "kl_q8_0": divergence(view, "gguf:q8_0"),
        "gguf": artifact(view, "gguf:q8_0") or artifact(view, "gguf:f16"),
        "adapter": artifact(view, "adapter"),
        "merged": artifact(view, "merged"),
        "exports": exported(view),
        "recipe": str(Path(view.folder) / "recipe.yaml"),
        "folder": view.folder,
        "computing": computing(view),
    }


def exported(view: JobView) -> list[dict[str, Any]]:
    """What was written, and how it was verified: None where nothing was compared."""
    verified = {one.key: one for one in view.verified}
    return [
        {
            "target": one.key,
            "path": str(Path(view.folder) / one.path),
            "bytes": one.bytes,
            "passed": verified[one.key].passed if one.key in verified else None,
            "kl_divergence": divergence(view, one.key),
            "embedding_error": verified[one.key].embedding_error if one.key in verified else None,
            "perplexity": verified[one.key].perplexity if one.key in verified else None,
            "correct": verified[one.key].correct if one.key in verified else None,
        }
        for one in view.artifacts
    ]


def correct(view: JobView, subject: str) -> int | None:
    """None where nothing of `subject` was graded: that is not the same as nothing right."""
    right, graded = view.correct(subject)
    return right if graded else None


def stopped(view: JobView, subject: str) -> int | None:
    """How many held-out answers ended by themselves; None where nothing was asked."""
    ended, asked = view.stopped(subject)
    return ended if asked else None


def score(view: JobView, subject: str) -> Mapping[str, float | None]:
    found = next((scored for scored in reversed(view.scores) if scored.subject == subject), None)
    return {} if found is None else msgspec.structs.asdict(found)


def divergence(view: JobView, key: str) -> float | None:
    """None too of what a model sees with, which says nothing."""
    return next((one.kl_divergence for one in view.verified if one.key == key and one.embedding_error is None), None)


def artifact(view: JobView, key: str) -> str | None:
    """Absolute path of an export."""
    found = next((written for written in view.artifacts if written.key == key), None)
    return None if found is None else str(Path(view.folder) / found.path)


def run_seconds(view: JobView) -> float:
    """How long the run took, or has taken so far."""
    return 0.0 if view.started is None else (view.ended or time.time()) - view.started


def jobs_table(views: list[JobView]) -> Table:
    table = Table("run", "name", "state", "stage", "time", "folder", box=None, header_style="bold", pad_edge=False)
    for view in views:
        took = duration_text(run_seconds(view)) if view.started else ""
        stage = waiting_text(view) or stage_now(view)
        table.add_row(
            str(view.id), Text(texts.one_line(view.name)), state_text(view.state), stage, took, Text(view.folder)
        )
    return table


def sizes_table(views: list[JobView], by_job: Mapping[int, Sizes]) -> Table:
    """What each run takes on the disk."""
    table = Table("run", "name", "state", *PARTS, "other", "all", box=None, header_style="bold", pad_edge=False)
    for view in views:
        found = by_job.get(view.id, Sizes(view.id))
        parts = [bytes_text(getattr(found, part)) for part in (*PARTS, "other", "total")]
        table.add_row(str(view.id), Text(one_line(view.name, 40)), state_text(view.state), *parts)
    return table


def cleaning_table(found: Cleaned) -> Table:
    """What goes, run by run."""
    table = Table("run", "name", "state", "what", "size", box=None, header_style="bold", pad_edge=False)
    for item in found.items:
        name = Text(one_line(item.name, 40))
        table.add_row(str(item.job), name, state_text(item.state), item.part, bytes_text(item.bytes))
    return table


def print_recovery(report: Report) -> None:
    """The last start of the daemon, and earlier ones that found something."""
    console = out()
    for start in report.starts:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(start.time))
        after = ", after a restart of the machine" if start.rebooted else ""
        console.print(Text(f"daemon {start.pid}, started {when}{after}", "bold"))
        for finding in start.findings:
            console.print(plain(f"  {finding.kind:<11} {finding.text}"), soft_wrap=True)
        if not start.findings:
            console.print(Text("  nothing was left unfinished"))


def job_text(view: JobView) -> Text:
    """A run on one screen: state, stages, notices, and what went wrong."""
    text = Text.assemble((f"run {view.id} ", "bold"), texts.one_line(view.name), ": ", state_text(view.state), "\n")
    if waiting := waiting_text(view):
        text.append(f"  {waiting}; start it now with `tunesmith resume {view.id} --force`\n", "yellow")
    for stage in view.stages:
        took = duration_text(stage.seconds) if stage.seconds is not None else ""
        done = f"{stage.fraction:.0%}" if stage.state == "running" and stage.total else ""
        state = "stopped" if stage.state == "running" and view.ended_already else stage.state
        text.append(f"  {stage.name:<9} {state:<8} {took}{done} {words(stage.note, stage.note_said)}".rstrip() + "\n")
    for line in computing_lines(view):
        text.append("  ").append_text(line).append("\n")
    for notice in view.notices:
        text.append(plain(f"  {notice.level}: {notice_text(notice)}\n"))
    if view.stalled is not None:
        text.append("  stalled: no sign of life of its worker process\n", "yellow")
    if view.finishing and not view.ended_already:
        text.append("  stop and keep: training ends after this step\n", "yellow")
    if view.error is not None:
        text.append("  error: ", "bold red").append(plain(f"{view.error.message}\n"))
        text.append("   hint: ", "bold cyan").append(plain(f"{view.error.hint}\n"))
    text.append(f"  folder {view.folder}")
    return text


def verdict(correct: bool | None) -> Text:
    """In words, for the graded ones."""
    if correct is None:
        return Text("")
    return Text("right", "green") if correct else Text("wrong", "red")


def answers_table(view: JobView, set_name: str) -> Table:
    """Each question with what was answered before and after; of a run that only exported, by what it wrote last."""
    by_row: dict[int, dict[str, Answered]] = {}
    for answered in view.answers:
        if answered.set_name == set_name:
            by_row.setdefault(answered.row, {})[answered.subject] = answered
    table = Table(title=Text(set_name.replace("_", " ")), show_lines=True, expand=False, title_justify="left")
    table.add_column("question", ratio=3)
    asked = {subject for given in by_row.values() for subject in given}
    shown = {"gguf": "export"} if asked == {"gguf"} else {"base": "before", "tuned": "after"}
    for title in shown.values():
        table.add_column(title, ratio=4)
    for _, given in sorted(by_row.items()):
        question = next(iter(given.values())).question
        table.add_row(Text(one_line(question, 200)), *(answer_text(given.get(subject)) for subject in shown))
    return table


def answer_text(answer: Answered | None) -> Text:
    if answer is None:
        return Text("-")
    mark = verdict(answer.correct)
    return Text.assemble(mark, ": " if mark.plain else "", one_line(answer.answer))


def one_line(text: str, limit: int = 140) -> str:
    """`text` without line ends and control characters, cut at `limit` characters."""
    flat = texts.one_line(text)
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def print_result(view: JobView) -> None:
    """Before and after, the figures, the verification, the files, and what to type next."""
    console = out()
    for set_name in dict.fromkeys(answer.set_name for answer in view.answers):
        console.print(answers_table(view, set_name))
    figures = result(view)
    for checked in view.data:
        console.print(
            f"{checked.file}: {checked.rows_read} rows read, {checked.rows_kept} kept, {checked.rows_rejected} left out"
        )
    held_out = figures["held_out"]
    if held_out:
        counts = "   ".join(
            f"{label} {figures[key]} of {held_out}"
            for label, key in (("before", "base_correct"), ("after", "tuned_correct"), ("gguf", "gguf_correct"))
            if figures[key] is not None
        )
        console.print(f"right on held-out questions:  {counts}")
    ended = "   ".join(
        f"{label} {view.stopped(subject)[0]} of {view.stopped(subject)[1]}"
        for label, subject in (("before", "base"), ("after", "tuned"), ("gguf", "gguf"))
        if view.stopped(subject)[1]
    )
    if ended:
        console.print(f"answers that end by themselves:  {ended}")
    for label, key in (("held-out loss", "held_out_loss"), ("general perplexity", "general_perplexity")):
        before, after = figures[f"{key}_before"], figures[f"{key}_after"]
        if before is not None and after is not None:
            console.print(f"{label}:  before {before:.3f}   after {after:.3f}")
    print_scores(view, console)
    print_benchmarks(view, console)
    for verified in view.verified:
        verdict = "verified" if verified.passed else "NOT VERIFIED"
        console.print(f"{verified.key}: {verdict}, {compared_text(verified)}")
        if verified.why:
            console.print(f"  {verification_text(verified)}", soft_wrap=True)
    for written in view.artifacts:
        console.print(
            f"{written.key}:  {Path(view.folder) / written.path}  ({bytes_text(written.bytes)})", soft_wrap=True
        )
    console.print(f"recipe:  {figures['recipe']}", soft_wrap=True)
    if (early := view.stopped_early) is not None:
        console.print(f"training was stopped early, after step {early.step} of {early.total_steps}")
    console.print(f"run {view.id} {view.state} in {duration_text(run_seconds(view))}")
    if view.task in (EVALUATE, BENCHMARK):
        return
    console.print(f"\nnext:  tunesmith chat {view.id}          talk to the tuned model (--base: the untuned one)")
    console.print("       tunesmith                 open the wizard")


def compared_text(verified: Verified) -> str:
    """How far an export is from the merged model."""
    if verified.embedding_error is not None:
        return (
            f"a picture's embeddings are off by {verified.embedding_error:.2g} (limit {verified.embedding_limit:.2g})"
        )
    return (
        f"KL {verified.kl_divergence:.2g} (limit {verified.kl_limit:.2g}), "
        f"the same first choice for {verified.top1_agreement:.1%} of {verified.tokens_compared} tokens"
    )
