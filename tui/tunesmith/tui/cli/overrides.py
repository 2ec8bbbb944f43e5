"""A recipe file with the values of `--set key=value` put in before it is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from tunesmith.recipes import presets, yaml_text
from tunesmith.recipes import spec as recipe
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.models import source

PATHS = ("model.source", "data.train", "data.held_out")  # on a command line a path is relative to where it is typed
PARTS = ("training", "tuner", "method", "evaluation", "data", "model")


def read(path: Path, settings: list[str]) -> recipe.JobSpec:
    """The recipe in file `path`, or the preset of that name. Raises RecipeError when it or a setting is wrong."""
    if str(path) in presets.names() and not path.exists():
        path = presets.path(str(path))
    if not settings:
        return recipe.load(path)
    raw = yaml_text.decoded(recipe.text_of(path))
    if not isinstance(raw, dict):
        return recipe.load(path)
    for setting in settings:
        put(raw, setting)
    return recipe.parse(msgspec.yaml.encode(raw).decode("utf-8"), path.resolve().parent)


def put(raw: dict[str, Any], setting: str) -> None:
    """Put `a.b=value` into `raw`; the value is read as YAML. Raises RecipeError when it has no such form."""
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {setting!r} is not KEY=VALUE", "For example --set training.epochs=2.")
    key = full_key(key.strip())
    try:
        value: Any = yaml_text.decoded(text, f"--set {key}") if text else ""
    except RecipeError as error:
        raise RecipeError(f"--set {key}: {text!r} is not a YAML value", "Put text into quotes.") from error
    if key in PATHS and isinstance(value, str) and value != recipe.STARTER:
        model = key == "model.source"
        value = source.located(value, Path.cwd()) if model else str(Path(value).expanduser().resolve())
    *parents, last = key.split(".")
    inner = raw
    for parent in parents:
        below = inner.setdefault(parent, {})
        if below is None:  # `training:` with nothing under it
            below = inner[parent] = {}
        if not isinstance(below, dict):
            raise RecipeError(f"--set {key}: '{parent}' is not a part of the recipe", "See `tunesmith recipe schema`.")
        inner = below
    inner[last] = value
    for part in ("method", "tuner"):
        if parents == [part]:
            default = getattr(recipe.JobSpec(), part)
            inner.setdefault("kind", default["kind"])


def full_key(key: str) -> str:
    """`rank` for `tuner.rank`: a short name stands for the one part that has it. Other keys stay as they are."""
    top = {field.name for field in msgspec.structs.fields(recipe.JobSpec)}
    if "." in key or key in top:
        return key
    filled = msgspec.to_builtins(recipe.complete(recipe.JobSpec()))
    homes = [part for part in PARTS if key in filled[part]]
    return f"{homes[0]}.{key}" if len(homes) == 1 else key
