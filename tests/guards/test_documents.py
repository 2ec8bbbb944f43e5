"""The documents agree with the code and with each other: commands, recipe keys, defaults, links."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from tunesmith.recipes import spec
from tunesmith.recipes.data import shapes

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.zh.md")
PARTS = ("recipes", "daemon", "tui")
DOCUMENTS = (
    *READMES, "docs/checkpoints.md", "docs/commands.md", "docs/errors.md", "docs/evaluation.md", "docs/exports.md",
    "docs/models.md",
    "docs/planning.md", "docs/reliability.md", "docs/serve.md", "docs/speed.md", "docs/tutorial.md",
    "docs/tutorial.zh.md", "docs/wizard.md", "docs/wizard.zh.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md",
    *(f"{part}/README.md" for part in PARTS),
)  # fmt: skip


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def flattened(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            if not value:
                yield f"{before}{key}", "{}"
            yield from flattened(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def as_written(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{', '.join(value)}]"
        case _:
            return str(value)


def command_table() -> dict[str, Any]:
    from tunesmith.tui.cli.main import app

    table: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return table


@pytest.mark.parametrize("name", READMES)
def test_the_recipe_table_is_the_code_s(name: str) -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| `([^`]+)` \|", text_of(name), re.MULTILINE)
    defaults = msgspec.to_builtins(spec.complete(spec.JobSpec()))
    assert dict(rows) == {key: as_written(value) for key, value in flattened(defaults)}
    assert len(rows) >= 30


@pytest.mark.parametrize("name", READMES)
def test_the_recipe_in_the_readme_is_a_recipe(name: str) -> None:
    (recipe,) = blocks(text_of(name), "yaml")
    assert spec.parse(recipe, Path("/recipes")).data.train == "/recipes/conversations.jsonl"


def test_both_readmes_show_the_same_commands() -> None:
    shown = [blocks(text_of(name), "bash") for name in READMES]
    assert len(shown[0]) >= 4
    assert shown[0] == shown[1]


def test_every_command_that_the_readme_shows_exists() -> None:
    commands = "\n".join(blocks(text_of("README.md"), "bash"))
    shown = re.findall(r"^tunesmith ([a-z]+)(?: ([a-z]+))?", commands, re.MULTILINE)
    assert len(shown) >= 8
    table = command_table()
    for command, below in shown:
        assert command in table
        inner = getattr(table[command], "commands", None)
        assert inner is None or below in inner, f"{command} {below}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_in_a_document_leads_somewhere(name: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text_of(name)) if "://" not in link]
    assert [link for link in links if not (ROOT / name).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("part", PARTS)
def test_the_map_of_a_part_is_made_of_its_files_first_lines(part: str) -> None:
    top = ROOT / part / "tunesmith" / part
    mapped = dict(re.findall(r"^\| `([\w.]+/?)` \| (.+) \|$", text_of(f"{part}/README.md"), re.MULTILINE))
    entries = [path for path in top.iterdir() if path.name not in ("__pycache__", "__init__.py")]
    assert len(entries) >= 5
    folders = {f"{path.name}/" for path in entries if any(path.glob("*.py"))}
    assert set(mapped) == folders | {path.name for path in entries if path.is_file()}
    for path in entries:
        if path.suffix == ".py":
            assert mapped[path.name] == (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").splitlines()[0]


def test_the_changelog_knows_this_version() -> None:
    (version,) = re.findall(r'^version = "(.+)"', text_of("pyproject.toml"), re.MULTILINE)
    assert f"## {version}" in text_of("CHANGELOG.md")


def test_the_knobs_that_speed_explains_are_keys_of_a_recipe() -> None:
    knobs = re.findall(r"^\| `([a-z_.]+)` \|", text_of("docs/speed.md"), re.MULTILINE)
    keys = dict(flattened(msgspec.to_builtins(spec.complete(spec.JobSpec()))))
    assert len(knobs) >= 8
    assert [knob for knob in knobs if knob not in keys] == []


def test_the_table_of_shapes_is_made_of_the_cards() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| (.+?) \| `(.+)` \|$", text_of("docs/data.md"), re.MULTILINE)
    assert rows == [(key, card.blurb, card.example) for key, card in shapes.cards().items()]


@pytest.mark.parametrize("name", ("tutorial", "wizard"))
def test_a_translated_page_shows_the_same_commands_and_pictures(name: str) -> None:
    original, translated = (text_of(f"docs/{name}{end}") for end in (".md", ".zh.md"))
    assert blocks(original, "bash") == blocks(translated, "bash")
    shown = re.findall(r"\(pictures/([a-z-]+)\.svg\)", original)
    assert len(shown) >= 6
    assert shown == re.findall(r"\(pictures/([a-z-]+)\.zh\.svg\)", translated)
    headings = [len(re.findall(r"^#+ ", text, re.MULTILINE)) for text in (original, translated)]
    assert headings[0] == headings[1]
