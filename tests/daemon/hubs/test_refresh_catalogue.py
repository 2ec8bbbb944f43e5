"""The catalogue is compared with what a hub says, through the real client libraries, and takes over its numbers."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hub_server import FakeHub

from tunesmith.daemon.hubs import catalogue_file
from tunesmith.recipes.models import catalogue

HUBS = ("modelscope", "huggingface")
KEY = "hunyuan-0.5b-instruct"
ENTRY = catalogue.find(KEY)
# Of the size that the file has, so that its headers tell what the catalogue does; nothing of it is sent.
WEIGHTS = "model.safetensors"


def file_of(parameters: int) -> bytes:
    """The beginning of a weight file of so many parameters."""
    header = json.dumps({"a": {"dtype": "BF16", "shape": [parameters], "data_offsets": [0, 2 * parameters]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(2000)


def hub(kind: str, config: dict[str, Any], parameters: int, **about: Any) -> FakeHub:
    files = {"config.json": json.dumps(config).encode(), WEIGHTS: file_of(parameters), "README.md": b"# Hunyuan\n"}
    return FakeHub(ENTRY.ids[kind], files, "model", {"gated": False, "license": "other"} | about)


def refresh(kind: str, fake: FakeHub, folder: Path, *more: str, only: str = KEY) -> tuple[int, str, str]:
    own = {
        "HF_ENDPOINT": fake.url, "MODELSCOPE_ENDPOINT": fake.url, "HOME": str(folder), "NO_PROXY": "*",
        "HF_HOME": str(folder / "hf"), "MODELSCOPE_HOME": str(folder / "ms"),
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "MODELSCOPE_"))}
    command = [sys.executable, "-m", "tunesmith.daemon.hubs.refresh_catalogue", "--hub", kind, "--only", only]
    done = subprocess.run(
        [*command, "--folder", str(folder), *more], capture_output=True, text=True, env=kept | own, timeout=120
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "hunyuan.toml").write_bytes((catalogue.FOLDER / "hunyuan.toml").read_bytes())
    return tmp_path


@pytest.mark.parametrize("kind", HUBS)
def test_a_model_that_is_as_we_say_differs_in_nothing(kind: str, folder: Path) -> None:
    with hub(kind, ENTRY.architecture, ENTRY.parameters).serve() as fake:
        assert refresh(kind, fake, folder) == (0, f"{KEY}: nothing differs\n", "")
    assert {asked.path for asked in fake.asked} == {"config.json", WEIGHTS}
    assert (folder / "hunyuan.toml").read_bytes() == (catalogue.FOLDER / "hunyuan.toml").read_bytes()


@pytest.mark.parametrize("kind", HUBS)
def test_other_numbers_are_told_and_written(kind: str, folder: Path) -> None:
    theirs = ENTRY.architecture | {"max_position_embeddings": 32768, "vocab_size": 120_832}
    with hub(kind, theirs, 539_024_384, gated=True, license="MIT").serve() as fake:
        status, out, _ = refresh(kind, fake, folder)
        assert status == 1
        assert "architecture.vocab_size: 120818, the hub says 120832" in out
        assert "context: 262144, the hub says 32768" in out
        assert "gated: False, the hub says True" in out
        assert "parameters: 539000000, the hub says 539024384" in out
        refresh(kind, fake, folder, "--write")
    (before, *others), (after, *same) = (catalogue.load(place) for place in (folder_of_ours(folder), folder))
    assert same == others
    assert after.architecture == theirs
    assert (after.context, after.gated, after.parameters) == (32768, True, 539_024_384)
    assert (after.checked, after.checked_by) == (datetime.date.today(), "hub")
    assert after.license == before.license  # whether "other" is the name we have takes a person


def folder_of_ours(folder: Path) -> Path:
    ours = folder / "ours"
    ours.mkdir()
    (ours / "hunyuan.toml").write_bytes((catalogue.FOLDER / "hunyuan.toml").read_bytes())
    return ours


def test_the_hub_s_own_count_is_used_where_it_has_one(folder: Path) -> None:
    counts = {"safetensors": {"parameters": {"BF16": 539_010_048}, "total": 539_010_048}}
    with hub("huggingface", ENTRY.architecture, 1, **counts).serve() as fake:
        _, out, _ = refresh("huggingface", fake, folder)
    assert "parameters: 539000000, the hub says 539010048" in out
    assert {asked.path for asked in fake.asked} == {"config.json"}


@pytest.mark.parametrize("kind", HUBS)
def test_a_count_that_the_sizes_do_not_give_is_left_to_a_person(kind: str, folder: Path) -> None:
    with hub(kind, ENTRY.architecture, 700_000_000).serve() as fake:
        status, out, _ = refresh(kind, fake, folder, "--write")
    assert status == 1
    assert "700000000  (look at it: not written)" in out
    assert catalogue.load(folder)[0].parameters == ENTRY.parameters


@pytest.mark.parametrize(("kind", "status"), [(kind, status) for kind in HUBS for status in (401, 403, 404)])
def test_a_hub_that_refuses_is_told_with_the_model_s_page(kind: str, status: int, folder: Path) -> None:
    fake = hub(kind, ENTRY.architecture, 1)
    fake.refuse = status
    with fake.serve():
        code, out, err = refresh(kind, fake, folder)
    assert (code, out) == (1, "")
    assert err.startswith(f"{KEY}: ") and f"answered {status}" in err
    page = {"huggingface": "https://huggingface.co/", "modelscope": "https://modelscope.cn/models/"}[kind]
    assert page + ENTRY.ids[kind] in err


@pytest.mark.parametrize("kind", HUBS)
def test_a_config_that_is_none_is_told(kind: str, folder: Path) -> None:
    with hub(kind, {"model_type": "x"}, 1).serve() as fake:
        code, _, err = refresh(kind, fake, folder)
    assert code == 1 and "has no 'num_hidden_layers'" in err


def test_a_name_we_do_not_know_offers_the_nearest(folder: Path) -> None:
    fake = FakeHub("a/b", {})
    code, _, err = refresh("huggingface", fake, folder, only="hunyuan-0.5b")
    assert code == 1 and "Did you mean" in err
    code, _, err = refresh("hugginface", fake, folder)
    assert code == 1 and "Did you mean 'huggingface'?" in err


@pytest.mark.parametrize("path", sorted(catalogue.FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_file_can_be_changed_and_keeps_the_rest(path: Path) -> None:
    text = path.read_text("utf-8")
    entry = msgspec.toml.decode(text, type=catalogue.Family).models[-1]
    values = {("context",): 7, ("license",): 'a "b"', ("checked",): datetime.date(2030, 1, 2), ("gated",): True}
    sizes = {("architecture", name): value for name, value in entry.architecture.items() if name in ("layer_types",)}
    changed = catalogue_file.changed(text, entry.huggingface, values | sizes)
    *others, after = msgspec.toml.decode(changed, type=catalogue.Family).models
    assert others == list(msgspec.toml.decode(text, type=catalogue.Family).models[:-1])
    assert (after.context, after.license, after.gated) == (7, 'a "b"', True)
    assert after.architecture == entry.architecture
    assert catalogue_file.changed(text, entry.huggingface, {}) == text
