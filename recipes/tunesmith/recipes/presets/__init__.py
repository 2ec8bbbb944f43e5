"""Ready-made recipes: one commented YAML file each, loaded as any recipe is."""

from __future__ import annotations

from pathlib import Path

from tunesmith.recipes.errors import RecipeError, nearest


def names() -> tuple[str, ...]:
    """Every preset, in alphabetical order."""
    return tuple(sorted(file.stem for file in Path(__file__).parent.glob("*.yaml")))


def path(name: str) -> Path:
    """The recipe file of preset `name`. Raises RecipeError when there is none."""
    if name not in names():
        raise RecipeError(f"There is no preset '{name}'", nearest(name, names()))
    return Path(__file__).parent / f"{name}.yaml"
