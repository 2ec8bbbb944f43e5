"""How a run's steps are computed, in words for the command line: paths and why, speed, memory, checkpoints."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from tunesmith.daemon.api.events import MemoryMeasured, PathTaken, TrainStep
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.units import bytes_text, flops_text
from tunesmith.tui.run_words import inexact_text, taken_text, why_text

COMPONENTS = ("weights", "adapter", "gradients", "optimizer", "activations", "other")


def path_text(path: PathTaken) -> Text:
    """`attention: SDPA per segment (why)`; a path that is slower than another one says so in words."""
    slower = "" if path.fastest else ", slower than possible"
    text = Text.assemble(f"{path.part.replace('_', ' ')}: {taken_text(path)}", (slower, "yellow"))
    return text.append(f" ({why_text(path)})" if path.why else "", "dim")


def paths_lines(view: JobView, *, briefly: bool = False) -> list[Text]:
    """A line a path; `briefly` the fastest ones share a line without their reasons."""
    if not briefly:
        return [path_text(path) for path in view.paths]
    fastest = [f"{path.part.replace('_', ' ')}: {taken_text(path)}" for path in view.paths if path.fastest]
    why = f"(why: tunesmith jobs show {view.id})"
    return [path_text(path) for path in view.paths if not path.fastest] + [Text(f"{'; '.join(fastest)} {why}", "dim")]


def speed_text(step: TrainStep) -> str:
    """`812 tokens/s, 112 GFLOP/s useful (57% of the limit)`; what was not measured is left out."""
    parts = [f"{step.tokens_per_second:.0f} tokens/s"]
    if step.flops_per_second:
        share = "" if step.limit_share is None else f" ({step.limit_share:.0%} of the limit)"
        parts.append(f"{flops_text(step.flops_per_second)} useful{share}")
    return ", ".join(parts)


def memory_text(memory: MemoryMeasured) -> str:
    parts = [f"{name} {bytes_text(getattr(memory, name))}" for name in COMPONENTS]
    return f"{', '.join(parts)}; peak {bytes_text(memory.peak)}"


def computing_lines(view: JobView) -> list[Text]:
    """Everything measured of how `view` trains, a line each."""
    lines: list[Text] = []
    if (step := view.step) is not None:
        lines.append(Text(f"step {step.step}/{step.total_steps}, loss {step.loss:.3f}, {speed_text(step)}"))
        right = "" if step.token_accuracy is None else f", {step.token_accuracy:.1%} of the labelled tokens right"
        lines.append(Text(f"padding {step.padding_share:.1%}, memory {bytes_text(step.memory_bytes)}{right}"))
    if (limit := view.limit) is not None:
        rate = flops_text(limit.flops_per_second)
        lines.append(Text(f"limit {rate}: large {limit.dtype} matrix products on {limit.device}"))
    if view.memory is not None:
        lines.append(Text(f"memory at step {view.memory.step}: {memory_text(view.memory)}"))
    lines += paths_lines(view)
    if view.resumed is not None:
        lines.append(Text(f"went on after step {view.resumed.step}"))
        if not view.resumed.exact:
            why = inexact_text(view.resumed)
            lines.append(Text(f"inexact resume: not the bits of a run that was never stopped ({why})", "yellow"))
    if (stopped := view.stopped_early) is not None:
        lines.append(Text(f"training was stopped early, after step {stopped.step} of {stopped.total_steps}"))
    if view.checkpoint is not None:
        lines.append(Text(f"checkpoint at step {view.checkpoint.step}, {bytes_text(view.checkpoint.bytes)}"))
    return lines


def computing(view: JobView) -> dict[str, Any]:
    """The same as figures; None where nothing was measured. Rates are of the last steps."""
    step, memory = view.step, view.memory
    return {
        "tokens_per_second": step and step.tokens_per_second,
        "padding_share": step and step.padding_share,
        "flops_per_second": step and step.flops_per_second,
        "limit_share": step and step.limit_share,
        "limit_flops_per_second": view.limit and view.limit.flops_per_second,
        "token_accuracy": step and step.token_accuracy,
        "peak_bytes": memory and memory.peak,
        "paths": view.paths,
        "checkpoint_step": view.checkpoint and view.checkpoint.step,
        "resumed_after_step": view.resumed and view.resumed.step,
        "resumed_exactly": view.resumed and view.resumed.exact,
        "inexact_because": view.resumed.reasons if view.resumed else (),
        "stopped_early_after_step": view.stopped_early and view.stopped_early.step,
    }
