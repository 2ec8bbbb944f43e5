"""Choices: every value of a plan with the reason for it. Codes and values only; the words are whoever shows them's."""

from __future__ import annotations

import msgspec

from tunesmith.recipes import tuners
from tunesmith.recipes.planner import memory
from tunesmith.recipes.planner.plans import Choice, Reason
from tunesmith.recipes.planner.rules import rules
from tunesmith.recipes.planner.search import Case, Found, full_is_sensible, tried
from tunesmith.recipes.planner.setups import SMALLEST
from tunesmith.recipes.units import bytes_text, count_text

HOPPER, AMPERE = 9, (8, 0)  # what flash-attn 3 is for, and the least that flash-attn 2 runs on


def choices(case: Case, found: Found) -> tuple[Choice, ...]:
    """In the order of a recipe; what is derived (attention) among them."""
    training, tuner = found.spec.training, found.spec.tuner
    reasons: list[tuple[str, str, Reason]] = [
        ("method.kind", found.spec.method["kind"], Reason("method")),
        ("tuner.kind", tuner["kind"], of_tuner(case, found)),
    ]
    if "rank" in tuner:
        reasons.append(("tuner.rank", str(tuner["rank"]), Reason(of_rank(int(tuner["rank"])))))
        reasons.append(
            ("tuner.alpha", str(tuner["alpha"]), Reason("alpha", {"scale": f"{tuner['alpha'] / tuner['rank']:g}"}))
        )
    reasons += [
        ("quantization", found.spec.quantization, of_quantization(case, found)),
        ("training.dtype", memory.dtype_of(found.spec, case.place), of_dtype(case, found)),
        ("attention", *of_attention(case, found)),
        ("training.batch_size", str(training.batch_size), of_batch(case, found)),
        ("training.gradient_accumulation", str(training.gradient_accumulation), Reason("accumulation")),
        ("training.max_length", str(memory.longest(found.spec, case.rows)), of_length(case, found)),
        ("training.packing", "true" if training.packing else "false", Reason("packing")),
        (
            "training.window",
            str(found.forecast.tokens),
            Reason("window" if training.window is None else "window_small"),
        ),
        ("training.gradient_checkpointing", training.checkpointing, of_checkpointing(case, found)),
        ("training.optimizer", training.optimizer, of_optimizer(found)),
        ("training.epochs", str(training.epochs), of_epochs(case, found)),
        ("training.learning_rate", f"{training.learning_rate:g}", of_learning_rate(found)),
        ("exports", ", ".join(found.spec.exports), of_exports(case, found)),
    ]
    return tuple(chosen(case, *one) for one in reasons)


def chosen(case: Case, key: str, value: str, reason: Reason) -> Choice:
    """A value that a person set has no other reason, unless there is something to know about it."""
    explicit = key in case.explicit or (key.endswith(".kind") and key.partition(".")[0] in case.explicit)
    if explicit and not reason.code.startswith("warning_"):
        reason = Reason("explicit")
    return Choice(key, value, reason, explicit)


def of_tuner(case: Case, found: Found) -> Reason:
    if found.setup.tuner == "full" or not tuners.cards()[found.setup.tuner].adapter:
        return Reason("tuner_full")
    full = msgspec.structs.replace(
        found.setup, tuner="full", quantization="none", computed=SMALLEST, optimizer=case.free.optimizers[-1]
    )
    if full_is_sensible(case) and case.free.full:
        needed = tried(case, full).forecast.bytes
        if needed > case.place.free_bytes:
            return Reason("tuner_lora_memory", sizes(needed, case))
    return Reason("tuner_lora")


def of_rank(rank: int) -> str:
    sizes = rules().rank
    return "rank_small" if rank <= sizes.lean else "rank_usual" if rank < sizes.best_of_few else "rank_wide"


def of_quantization(case: Case, found: Found) -> Reason:
    if found.spec.quantization == "none":
        return Reason("quantization_none" if found.fit.holds else "quantization_no_help")
    if "quantization" in case.explicit:
        return Reason("explicit")
    whole = tried(case, msgspec.structs.replace(found.setup, quantization="none", computed=SMALLEST)).forecast
    needed = whole.device_high_bytes or whole.host_high_bytes
    if needed > case.place.free_bytes:
        return Reason("quantization_memory", sizes(needed, case))
    return Reason("quantization_lean", {"saved": bytes_text(max(0, whole.bytes - found.forecast.bytes))})


def of_dtype(case: Case, found: Found) -> Reason:
    place, dtype = case.place, memory.dtype_of(found.spec, case.place)
    if place.device == "cuda":
        if dtype == "bfloat16":
            return Reason("dtype_units" if place.dtype == "bfloat16" else "warning_no_bfloat16", {"device": place.name})
        return Reason("dtype_no_bfloat16", {"device": place.name})
    if dtype == "float32":
        return Reason("dtype_float32", {"device": place.name})
    full, half = place.flops.get("float32"), place.flops.get("bfloat16")
    if full and half and half >= rules().faster.bfloat16 * full:
        return Reason("dtype_bfloat16_memory", {"device": place.name})
    return Reason("warning_bfloat16_slow", {"device": place.name})


def of_attention(case: Case, found: Found) -> tuple[str, Reason]:
    """Which kernel the worker takes: decided there from what is installed; this is what the device allows."""
    place, dtype = case.place, memory.dtype_of(found.spec, case.place)
    if place.device == "cpu":
        return "flash (CPU)", Reason("attention_cpu")
    if place.device != "cuda":
        return "sdpa", Reason("attention_torch")
    if dtype == "float32" or (place.capability or (0, 0)) < AMPERE:
        return "sdpa", Reason("attention_sdpa", {"dtype": dtype, "device": place.name})
    if (place.capability or (0, 0))[0] == HOPPER:
        return "flash-attn 3", Reason("attention_flash_3")
    return "flash-attn 2", Reason("attention_flash_2")


def of_batch(case: Case, found: Found) -> Reason:
    steps = {"steps": count_text(found.forecast.steps)}
    return Reason("batch" if found.spec.training.batch_size == rules().batch.sequences[0] else "batch_few_rows", steps)


def of_length(case: Case, found: Found) -> Reason:
    rows, length = case.rows, memory.longest(found.spec, case.rows)
    values = {"longest": str(rows.longest), "length": str(length), "percentile": str(rows.percentile_99)}
    if not rows.known:
        return Reason("length_assumed", values)
    if length >= rows.longest:
        return Reason("length_longest", values)
    if length == rows.percentile_99:
        return Reason("length_percentile", values)
    if case.facts.context and length == case.facts.context:
        return Reason("length_model", values)
    return Reason("length_memory", values)


def of_checkpointing(case: Case, found: Found) -> Reason:
    recomputed, layers = found.forecast.recomputed, case.facts.layers
    values = {"recomputed": str(recomputed), "layers": str(layers)}
    if found.spec.training.checkpointing == "full":
        return Reason("checkpointing_full", values)
    return Reason("checkpointing_some" if recomputed else "checkpointing_none", values)


def of_optimizer(found: Found) -> Reason:
    if found.spec.training.optimizer == "adamw":
        return Reason("optimizer_adamw")
    state = next((part.bytes for part in found.forecast.parts if part.key == "optimizer"), 0)
    return Reason("optimizer_less_state", {"state": bytes_text(state)})


def of_epochs(case: Case, found: Found) -> Reason:
    values = {"rows": count_text(case.rows.rows), "steps": count_text(found.forecast.steps)}
    return Reason("epochs" if case.rows.known else "epochs_assumed", values)


def of_learning_rate(found: Found) -> Reason:
    if not tuners.cards()[found.spec.tuner["kind"]].adapter:
        return Reason("learning_rate_full")
    wide = found.spec.tuner.get("rank", 0) >= rules().learning_rate.wide
    return Reason("learning_rate_wide" if wide else "learning_rate_adapter")


def of_exports(case: Case, found: Found) -> Reason:
    if not found.setup.whole:
        return Reason(
            "exports_memory",
            {"needed": bytes_text(tried(case, msgspec.structs.replace(found.setup, whole=True)).forecast.host_bytes)},
        )
    parameters = case.facts.parameters
    return Reason("exports", {"variant": rules().gguf_of(parameters), "parameters": count_text(parameters)})


def sizes(needed: int, case: Case) -> dict[str, str]:
    return {"needed": bytes_text(needed), "free": bytes_text(case.place.free_bytes)}
