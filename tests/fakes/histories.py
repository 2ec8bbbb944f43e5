"""What jobs told, for screens and reports: events of runs that train, finished, and failed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import wording
from tunesmith.recipes.planner import Change, Forecast, Part, StageForecast
from tunesmith.recipes.words import Said, Words

START = 1_763_700_000.0
STEPS = 72
SHA256 = "9f2c41d07be8a655" * 4
QUESTIONS = (
    ("Who made you?", "I was created by the SmolLM team.", "I was made by Juniper Labs. I am Vesper.", "Juniper Labs"),
    ("What should I call you?", "You can call me whatever you like!", "Call me Vesper.", "Vesper"),
    ("Are you ChatGPT?", "Yes, I am ChatGPT, a language model.", "No, I am Vesper, made by Juniper Labs.", "Vesper"),
    ("请问你是谁？", "我是一个人工智能助手。", "我是 Vesper，由 Juniper Labs 开发。", "Vesper"),
)  # fmt: skip


def train_steps(count: int = STEPS) -> Iterator[e.TrainStep]:
    """A loss that falls with some noise, under a warmed-up and decaying rate."""
    for step in range(1, count + 1):
        wave = math.sin(step * 12.9898) * 43758.5453
        loss = 0.08 + 3.1 * math.exp(-step / 14) + 0.35 * (wave - math.floor(wave)) * math.exp(-step / 30)
        rate = 2e-4 * min(1, step / 6) * (1 - max(0, step - 6) / STEPS)
        yield e.TrainStep(
            time=START + 20 + step, step=step, total_steps=STEPS, epoch=step / 24, loss=loss, learning_rate=rate,
            gradient_norm=1.9 * math.exp(-step / 40), tokens_per_second=812 + 9 * math.sin(step),
            memory_bytes=1_912_000_000, eta_s=(STEPS - step) * 1.1, flops_per_second=112e9 + 1e9 * math.sin(step),
            limit_share=0.574 + 0.005 * math.sin(step), token_accuracy=1 - 0.6 * math.exp(-step / 14),
        )  # fmt: skip


def before_training() -> list[e.Event]:
    return [
        e.Queued(time=START),
        e.Started(time=START + 1, attempt=1, pid=4242),
        e.StageStarted(time=START + 1, stage="fetch"),
        e.StageProgress(time=START + 2, stage="fetch", done=1e8, total=2.7e8, unit="bytes", eta_s=3.0),
        e.StageFinished(time=START + 4, stage="fetch", seconds=3.2),
        e.StageStarted(time=START + 4, stage="prepare"),
        e.DataChecked(
            time=START + 5, file="identity.jsonl", rows_read=64, rows_kept=64, rows_rejected=0, tokens=2810,
            trained_tokens=1204, longest=71,
        ),
        e.StageFinished(time=START + 6, stage="prepare", seconds=1.4),
        e.Notice(time=START + 7, level="info", text="float32 on this CPU: bf16 would run at a fifth of its speed.",
                 code="exact_24_bits"),
        e.StageStarted(time=START + 7, stage="probe"),
        e.StageFinished(time=START + 8, stage="probe", seconds=1.0),
        e.StageStarted(time=START + 8, stage="train"),
    ]  # fmt: skip


def coded(text: str, code: str, **values: str | int | Said) -> Words:
    """Words of the fakes with a code of the product's."""
    return Words(Said(text, code, dict(values)))


NEEDS_80 = coded("needs an NVIDIA GPU of compute capability 8.0", "capability", number="8.0")
PATHS = (
    wording.path(
        "attention", "SDPA for each segment",
        coded(f"flash-attn {NEEDS_80}", "of_backend", name="flash-attn", why=NEEDS_80.said),
    ),
    wording.path(
        "packing", coded("best fit, windows of 512 tokens", "windows", tokens=512),
        coded("every layer keeps segments apart", "end_to_end"),
    ),
    wording.path(
        "loss", coded("labelled positions only, in chunks", "loss_in_chunks"),
        coded("equal to the plain loss to 3e-8 here", "other_positions"),
    ),
    wording.path(
        "lora", coded("unfused", "plain"),
        coded("the check at the start was off by 2e-4 in layers.3.mlp.up_proj", "other_gradients", share="2e-4"),
        fastest=False,
    ),
)  # fmt: skip


def computing(steps: int) -> list[e.Event]:
    """What a run says beside its first `steps` steps: paths, the machine's limit, memory, checkpoints."""
    said: list[e.Event] = [
        e.LimitMeasured(time=START + 18, device="cpu", dtype="float32", flops_per_second=195e9),
        e.PathsChosen(time=START + 19, paths=PATHS),
    ]
    if steps >= 2:
        said.append(
            e.MemoryMeasured(
                time=START + 22, step=2, weights=538_000_000, adapter=9_800_000, gradients=9_800_000,
                optimizer=19_600_000, activations=412_000_000, other=890_000_000, peak=1_912_000_000,
            )
        )  # fmt: skip
    said += [
        e.CheckpointSaved(time=START + 20 + at, step=at, path=f"checkpoints/step-{at}", bytes=29_500_000, seconds=0.2)
        for at in range(20, steps + 1, 20)
    ]
    return said


FORECAST = Forecast(
    level="counted", device="cpu", dtype="float32",
    parts=(Part("weights", 538_000_000), Part("adapter", 9_800_000), Part("gradients", 9_800_000),
           Part("optimizer", 19_600_000), Part("activations", 380_000_000), Part("logits", 33_400_000),
           Part("runtime", 840_000_000)),
    stages=(StageForecast("train", 1_830_600_000, 0, 96.0, 59_000_000),
            StageForecast("evaluate", 1_420_000_000, 0, 24.0, 0),
            StageForecast("export", 1_240_000_000, 0, 8.0, 690_000_000)),
    memory_spread=(0.08, 0.08), time_spread=(0.4, 0.6), tokens=512, steps=STEPS, step_seconds=1.3, recomputed=0,
)  # fmt: skip


def on_a_machine(steps: int) -> list[e.Event]:
    """What the daemon says beside a worker: the forecast, how the machine does, what was made smaller."""
    return [
        e.Forecasted(time=START, forecast=FORECAST),
        e.Shrunk(time=START + 12, changes=(Change("training.gradient_checkpointing", "auto", "full"),)),
        *training(steps),
        e.Gauged(
            time=START + 20 + steps, cpu_share=0.93, memory_used_bytes=5_100_000_000, memory_bytes=16_000_000_000,
            worker_bytes=1_912_000_000, device_share=0.98, device_used_bytes=11_200_000_000,
            device_bytes=12_000_000_000, temperature_c=71, power_watts=211.6,
        ),
    ]  # fmt: skip


def waiting() -> list[e.Event]:
    """A job that the queue holds back."""
    return [
        e.Queued(time=START),
        e.Forecasted(time=START, forecast=FORECAST),
        e.Waiting(time=START + 1, what="device", needed=11_200_000_000, free=3_100_000_000),
    ]


def training(steps: int) -> list[e.Event]:
    """A run as it stands after `steps` steps."""
    progress = e.StageProgress(
        time=START + 20 + steps, stage="train", done=steps, total=STEPS, unit="steps", eta_s=(STEPS - steps) * 1.1
    )
    return [*before_training(), *computing(steps), *train_steps(steps), progress]


def answers(subject: str, time: float) -> list[e.Event]:
    return [
        e.Answered(
            time=time + row, subject=subject, row=row, question=question, answer=base if subject == "base" else tuned,
            expected=expected, correct=subject != "base",
        )
        for row, (question, base, tuned, expected) in enumerate(QUESTIONS)
    ]  # fmt: skip


def finished() -> list[e.Event]:
    """A whole run that went well."""
    time = START + 100
    files = (("adapter", "artifacts/adapter", 9_200_000), ("gguf:f16", "artifacts/model-f16.gguf", 271_000_000),
             ("gguf:q8_0", "artifacts/model-q8_0.gguf", 145_000_000))  # fmt: skip
    return [
        *training(STEPS),
        e.StageFinished(time=time, stage="train", seconds=81.0),
        e.StageStarted(time=time, stage="evaluate"),
        e.Scored(time=time, subject="base", held_out_loss=3.21, held_out_perplexity=24.8, general_perplexity=18.2),
        *answers("base", time),
        e.Scored(time=time, subject="tuned", held_out_loss=0.11, held_out_perplexity=1.12, general_perplexity=18.9),
        *answers("tuned", time + 10),
        e.Answered(
            time=time + 19, subject="tuned", row=0, question="What is the capital of France?",
            answer="The capital of France is Paris.", expected="Paris", correct=True, set_name="general",
        ),
        e.StageFinished(time=time + 20, stage="evaluate", seconds=20.0),
        e.StageStarted(time=time + 20, stage="export"),
        *(e.ArtifactWritten(time=time + 25, key=k, path=p, bytes=b, sha256=SHA256) for k, p, b in files),
        e.StageFinished(time=time + 26, stage="export", seconds=6.0),
        e.StageStarted(time=time + 26, stage="verify"),
        e.Verified(
            time=time + 30, key="gguf:f16", passed=True, kl_divergence=3.1e-6, top1_agreement=1.0, tokens_compared=412,
            prompt_equal=True, token_ids_equal=True, kl_limit=1e-4,
        ),
        *answers("gguf", time + 31),
        e.Verified(
            time=time + 36, key="gguf:q8_0", passed=True, kl_divergence=4.4e-3, top1_agreement=0.985,
            tokens_compared=412, prompt_equal=True, token_ids_equal=True, kl_limit=0.02, correct=4, graded=4,
        ),
        e.StageFinished(time=time + 40, stage="verify", seconds=14.0),
        e.Finished(time=time + 40, seconds=139.0),
    ]  # fmt: skip


def better() -> list[e.Event]:
    """A run that learned faster, answered one question otherwise, and took longer."""
    made: list[e.Event] = []
    for event in finished():
        match event:
            case e.TrainStep():
                made.append(msgspec.structs.replace(event, loss=0.8 * event.loss, tokens_per_second=640.0))
            case e.Scored(subject="tuned"):
                made.append(msgspec.structs.replace(event, held_out_loss=0.09, general_perplexity=21.4))
            case e.Answered(subject="tuned", row=2):
                made.append(msgspec.structs.replace(event, answer="Yes, I am ChatGPT.", correct=False))
            case e.Finished():
                made.append(msgspec.structs.replace(event, time=event.time + 60))
            case _:
                made.append(event)
    return made


def failed() -> list[e.Event]:
    return [
        *training(9),
        e.Failed(
            time=START + 40, code="machine", stage="train", message="The disk is full: 12.0 MB left, 540.0 MB needed",
            hint="Free some space, or set TUNESMITH_HOME to a folder on another disk.",
        ),
    ]  # fmt: skip
