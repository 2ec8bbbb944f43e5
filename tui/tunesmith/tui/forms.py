"""Recipe values as a form draws them: one list made of the spec's structs and the cards' knobs."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol

import msgspec

from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.fields import ChoiceField, FlagField, FloatField, IntField
from tunesmith.recipes.spec import CHECKPOINTING, OVER_LONG, TRAINED, BenchmarkSpec, JobSpec
from tunesmith.recipes.suites import TOOLS
from tunesmith.tui.name_list import joined, names, split
from tunesmith.tui.texts import load, t

AUTO = "auto"
TUNER = "tuner.kind"  # the choice that decides which other values there are
SCORES, GATE = "evaluation.scores", "evaluation.fail_if"
BENCHMARK = "benchmark"  # the group, and the part of the recipe
SUITES, LIMIT, BASE = "benchmark.suites", "benchmark.limit", "benchmark.base"
TOOL, VARIANT = "benchmark.tool", "benchmark.variant"
# What a value is checked together with.
BASED_ON = {GATE: (SCORES, SUITES, BASE)} | {key: (SUITES,) for key in (LIMIT, BASE, TOOL, VARIANT)}


class Value(msgspec.Struct, frozen=True):
    """One editable value. `kind` is int, float, choice, flag, text, scores or suites (lists) or gate (may be empty);
    `optional` reads `nothing` as None.
    """

    key: str
    group: str
    kind: str
    default: Any
    choices: tuple[str, ...] = ()
    optional: bool = False
    nothing: str = AUTO
    help: str = ""

    @property
    def name(self) -> str:
        return self.key.rpartition(".")[2]

    @property
    def default_text(self) -> str:
        return self.text(self.default)

    @property
    def label(self) -> str:
        return _translated(f"recipe.label_{self.name}", self.name.replace("_", " "))

    @property
    def explanation(self) -> str:
        """Why one would change it; a card's own sentence where the texts have none."""
        return _translated(f"recipe.help_{self.name}", self.help)

    def text(self, value: Any) -> str:
        """`value` as typed: 0.0002 is `0.0002`, None is `auto`, True is `yes`; of a list its parts."""
        if self.kind in ("scores", "suites"):
            return joined(value)
        if value is None:
            return "" if self.kind == "gate" else self.nothing
        if isinstance(value, bool):
            return "yes" if value else "no"
        return f"{value:g}" if isinstance(value, float) else str(value)

    def read(self, text: str) -> Any:
        """The value of what was typed. Raises RecipeError when it is no value of this kind."""
        text = text.strip()
        try:
            match self.kind:
                case "flag":
                    return text == "yes"
                case "int":
                    return None if self.optional and text.lower() in ("", self.nothing) else int(text)
                case "float":
                    return float(text)
                case "scores":
                    return split(text)
                case "suites":
                    return names(text)
                case "choice" if self.optional and text == self.nothing:
                    return None
                case "gate":
                    return text or None
                case _:
                    return text
        except ValueError as error:
            hint = t("recipe.whole_number") if self.kind == "int" else t("recipe.number")
            raise RecipeError(f"{self.key} is {text!r}", hint) from error


class Typed(Protocol):
    """Whoever keeps values as they are typed."""

    def values(self) -> tuple[Value, ...]: ...
    def text(self, value: Value) -> str: ...


def _translated(key: str, otherwise: str) -> str:
    return t(key) if key in load("en") else otherwise


# (key, group) in the order of the form; the defaults and kinds come from the spec's own structs.
_SPEC_VALUES = (
    ("quantization", "tuner"),
    ("training.epochs", "training"),
    ("training.learning_rate", "training"),
    ("training.batch_size", "training"),
    ("training.gradient_accumulation", "training"),
    ("training.max_length", "training"),
    ("training.warmup_fraction", "training"),
    ("training.weight_decay", "training"),
    ("training.gradient_clip", "training"),
    ("training.optimizer", "training"),
    ("training.seed", "training"),
    ("training.save_steps", "training"),
    ("training.device", "training"),
    ("training.dtype", "training"),
    ("training.packing", "computing"),
    ("training.window", "computing"),
    ("training.fused", "computing"),
    ("training.compile", "computing"),
    ("training.gradient_checkpointing", "computing"),
    ("training.activation_offload", "computing"),
    ("data.held_out_fraction", "data"),
    ("data.trained", "data"),
    ("data.over_long", "data"),
    ("evaluation.answers", "evaluation"),
    ("evaluation.samples", "evaluation"),
    ("evaluation.max_new_tokens", "evaluation"),
    ("evaluation.general", "evaluation"),
    (SCORES, "evaluation"),
    (GATE, "evaluation"),
    (SUITES, BENCHMARK),
    (LIMIT, BENCHMARK),
    (BASE, BENCHMARK),
    (TOOL, BENCHMARK),
    (VARIANT, BENCHMARK),
)
# The same choices that checks.check_values names.
_CHOICES = {
    "training.device": ("auto", "cpu", "cuda", "mps"),
    "training.dtype": ("auto", "float32", "bfloat16"),
    "training.gradient_checkpointing": CHECKPOINTING,
    "data.trained": TRAINED,
    "data.over_long": OVER_LONG,
    TOOL: (AUTO, *TOOLS),
}


@cache
def values_of(tuner: str) -> tuple[Value, ...]:
    """The form of a recipe that uses `tuner`: name, the tuner and its knobs, then the spec's values.

    Defaults are the tuner's own where its card has some.
    """
    from tunesmith.recipes import optimizers, quants, tuners

    defaults = msgspec.to_builtins(JobSpec(benchmark=BenchmarkSpec(suites=())))
    card = tuners.cards()[tuner]
    choices = _CHOICES | {
        "quantization": tuple(quants.cards()),
        "training.optimizer": tuple(optimizers.cards()),
    }
    values = [
        Value("name", "run", "text", JobSpec().name),
        Value(TUNER, "tuner", "choice", JobSpec().tuner["kind"], tuple(tuners.cards())),
    ]
    for field in card.knobs:
        key = f"tuner.{field.name}"
        match field:
            case IntField():
                values.append(Value(key, "tuner", "int", field.default, help=field.help))
            case FloatField():
                values.append(Value(key, "tuner", "float", field.default, help=field.help))
            case ChoiceField():
                values.append(Value(key, "tuner", "choice", field.default, field.choices, help=field.help))
            case FlagField():
                values.append(Value(key, "tuner", "flag", field.default, ("yes", "no"), help=field.help))
    for key, group in _SPEC_VALUES:
        section, _, name = key.rpartition(".")
        default = defaults[section][name] if section else defaults[name]
        if section == "training":
            default = card.training_defaults.get(name, default)
        if key == SCORES:
            values.append(Value(key, group, "scores", ()))
        elif key == SUITES:
            values.append(Value(key, group, "suites", ()))
        elif key == LIMIT:
            values.append(Value(key, group, "int", None, optional=True, nothing="all"))
        elif key == GATE:
            values.append(Value(key, group, "gate", None))
        elif key in choices:
            values.append(Value(key, group, "choice", default, choices[key], optional=default is None))
        elif isinstance(default, bool):
            values.append(Value(key, group, "flag", default, ("yes", "no")))
        elif isinstance(default, float):
            values.append(Value(key, group, "float", default))
        elif isinstance(default, str):
            values.append(Value(key, group, "text", default))
        else:
            values.append(Value(key, group, "int", default, optional=default is None))
    return tuple(values)
