"""Draft: all a person has chosen and typed, kept as typed so that nothing is lost; `spec()` makes it a JobSpec."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import msgspec

from tunesmith.recipes import presets
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.spec import STARTER, BenchmarkSpec, JobSpec, absolute, complete, load
from tunesmith.tui.forms import BASED_ON, BENCHMARK, TUNER, Value, values_of

OWN, GIVEN = "own", STARTER  # where the model or the data comes from


class Draft(msgspec.Struct, kw_only=True):
    """`typed` holds recipe values as text, by key such as `training.epochs`: what a person gave himself. A key that is
    absent has the value of the chosen `plan` (`planned`), else, in the starter's own run, the one that was measured for
    it (`preset`), else its default. `opened` says that it was made of a recipe file: no plan is taken unasked then.
    `exports` are kept while a tuner is chosen that cannot make some of them; they are left out of the job.
    `exports_chosen` says that they were set by hand.

    `data_shape` (empty: recognised) and `data_map` (column to field) are answers to a question about `data_file`.
    `submit_key` tells apart two submissions of the same draft.
    """

    model: str = GIVEN
    model_folder: str = ""
    data: str = GIVEN
    data_file: str = ""
    data_shape: str = ""
    data_map: dict[str, str] = {}
    persona_name: str = "Vesper"
    persona_maker: str = "Juniper Labs"
    method: str = "sft"
    typed: dict[str, str] = {}
    plan: str = ""
    planned: dict[str, str] = {}
    preset: dict[str, str] = {}
    opened: bool = False
    exports_chosen: bool = False
    exports: list[str] = msgspec.field(default_factory=lambda: list(JobSpec().exports))
    submit_key: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)

    @classmethod
    def from_spec(cls, spec: JobSpec) -> Draft:
        """The draft that `spec` would be made of: a recipe file opened in the wizard.

        Raises RecipeError for what the wizard has no field for: several sources, or one that is weighted.
        """
        source, *more = spec.data.sources
        if more or source.weight != 1:
            raise RecipeError("The recipe mixes several sources of data", "Run it with: tunesmith run FILE")
        draft = cls(
            model=GIVEN if spec.model.source == STARTER else OWN,
            model_folder="" if spec.model.source == STARTER else spec.model.source,
            data=GIVEN if spec.data.train == STARTER else OWN,
            data_file="" if spec.data.train == STARTER else source.path,
            data_shape=spec.data.shape or "",
            data_map=dict(spec.data.map),
            persona_name=spec.data.persona.name,
            persona_maker=spec.data.persona.maker,
            method=spec.method["kind"],
            typed={} if spec.tuner["kind"] == JobSpec().tuner["kind"] else {TUNER: spec.tuner["kind"]},
            exports=list(spec.exports),
            opened=True,
        )
        tree = _tree(spec)
        for value in draft.values():
            text = value.text(_get(tree, value.key))
            if text != value.default_text:
                draft.typed[value.key] = text
        return draft

    @classmethod
    def starter(cls) -> Draft:
        """The run that comes with the install, with values that were measured for it."""
        draft = cls.from_spec(load(presets.path("starter")))
        draft.preset, draft.typed, draft.opened = draft.typed, {}, False
        return draft

    @property
    def tuner(self) -> str:
        """The chosen tuner's key."""
        kind: str = JobSpec().tuner["kind"]
        return self.typed.get(TUNER) or self.planned.get(TUNER) or kind

    @property
    def of_starter(self) -> bool:
        """Whether it is the starter's own run: its model on its data."""
        return self.model == GIVEN and self.data == GIVEN

    def possible(self, target: str) -> bool:
        """Whether the chosen tuner leaves something to export to `target`."""
        from tunesmith.recipes import exports, tuners

        return tuners.cards()[self.tuner].adapter or not exports.find(target)[0].of_adapter

    def values(self) -> tuple[Value, ...]:
        """Every value of the recipe that can be edited, in the order of the recipe step."""
        return values_of(self.tuner)

    def text(self, value: Value) -> str:
        return self.typed.get(value.key, self.automatic(value))

    def automatic(self, value: Value) -> str:
        """What `value` is while nobody types another."""
        if value.key in self.planned:
            return self.planned[value.key]
        return (self.preset if self.of_starter else {}).get(value.key, value.default_text)

    def set(self, value: Value, text: str) -> None:
        """What a person types stays in every plan; without one, the automatic value is no choice."""
        if not self.plan and text == self.automatic(value):
            self.typed.pop(value.key, None)
        else:
            self.typed[value.key] = text

    def follow(self, plan: str, spec: JobSpec) -> None:
        """Take the values of `spec`, which `plan` chose, wherever nobody typed one."""
        self.plan, self.planned = plan, {}
        self.planned = {TUNER: spec.tuner["kind"]}
        tree = _tree(spec)
        self.planned |= {value.key: value.text(_get(tree, value.key)) for value in self.values() if value.key != "name"}
        if not self.exports_chosen:
            self.exports = list(spec.exports)

    def choose_exports(self, targets: list[str]) -> None:
        """By hand: no plan changes them from then on."""
        self.exports, self.exports_chosen = targets, True

    @property
    def explicit(self) -> frozenset[str]:
        """Keys of what a person set himself."""
        return frozenset(self.typed) | ({"exports"} if self.exports_chosen else frozenset())

    def unplanned(self) -> Draft:
        """As it is without its plan: what plans are made from."""
        return msgspec.structs.replace(self, plan="", planned={})

    def spec(self) -> JobSpec:
        """The checked job with absolute paths. Raises RecipeError naming the first wrong value."""
        return self._spec(self.values())

    def error(self, value: Value) -> RecipeError | None:
        """What is wrong with one value, whatever the others are but for those that it is based on: a gate may name the
        recipe's scores. It is not to blame for what is wrong with these.
        """
        alone = Draft(typed=self.typed, plan=self.plan, planned=self.planned)
        if value.group == BENCHMARK:
            alone.exports = self.exports  # one of them is what is asked
        based_on = tuple(one for one in self.values() if one.key in BASED_ON.get(value.key, ()))
        for values in filter(None, (based_on, (*based_on, value))):
            try:
                alone._spec(values)
            except RecipeError as error:
                return error if value in values else None
        return None

    def submission(self, spec: JobSpec) -> str:
        """The idempotency key of this draft as it is: the same again is the same job, a changed one is another."""
        return hashlib.sha256(self.submit_key.encode() + msgspec.json.encode(spec)).hexdigest()

    def submitted(self) -> None:
        """A job was made of it; the next submission is a new job even when nothing changed."""
        self.submit_key = uuid.uuid4().hex

    def _spec(self, values: tuple[Value, ...]) -> JobSpec:
        own_model, own_data = self.model == OWN, self.data == OWN
        tree: dict[str, Any] = {
            "model": {"source": self.model_folder.strip() if own_model else STARTER},
            "data": {
                "train": self.data_file.strip() if own_data else STARTER,
                "held_out": None if own_data else STARTER,
                "shape": (self.data_shape or None) if own_data else None,
                "map": self.data_map if own_data else {},
                "persona": {"name": self.persona_name.strip(), "maker": self.persona_maker.strip()},
            },
            "method": {"kind": self.method},
            "tuner": {"kind": self.tuner},
            "training": {},
            "evaluation": {},
            "exports": [target for target in self.exports if self.possible(target)],
            "benchmark": {},
        }
        for value in values:
            _put(tree, value.key, value.read(self.text(value)))
        if not tree["benchmark"].get("suites"):
            tree["benchmark"] = None  # its other values wait for one
        try:
            spec = msgspec.convert(tree, JobSpec)
        except msgspec.ValidationError as error:
            raise RecipeError(str(error)) from error
        return complete(absolute(spec, Path.cwd()))


def _tree(spec: JobSpec) -> dict[str, Any]:
    tree: dict[str, Any] = msgspec.to_builtins(spec)
    tree["benchmark"] = tree["benchmark"] or msgspec.to_builtins(BenchmarkSpec(suites=()))
    return tree


def _get(tree: dict[str, Any], key: str) -> Any:
    for part in key.split("."):
        tree = tree[part]
    return tree


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        tree = tree[part]
    tree[last] = value
