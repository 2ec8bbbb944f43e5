"""`tunesmith models`: what a person sees of hubs and of the cache, and what is refused with a way out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_models import CONFIG, ID, NEEDED, environment, files
from hub_server import FakeHub

from tunesmith.daemon.api import model_store
from tunesmith.daemon.api.home import Home


@pytest.fixture
def hub(tmp_path: Path, home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    about = {"license": "apache-2.0", "tags": ["license:apache-2.0"], "gated": False}
    with FakeHub(ID, files(), "model", about).serve() as fake:
        for name, value in environment(tmp_path, fake.url).items():
            if name != "TUNESMITH_HOME":
                monkeypatch.setenv(name, value)
        yield fake


def test_a_pulled_model_is_listed_shown_verified_and_removed(hub: FakeHub, tunesmith: Any, home: Home) -> None:
    pulled = tunesmith("models", "pull", ID)
    folder = Path(pulled.out.splitlines()[0])
    assert pulled.code == 0 and "next:  tunesmith plan --model" in pulled.out
    assert {path.name for path in folder.iterdir()} == {*NEEDED, "MODEL.json", "MANIFEST.json"}
    (listed,) = tunesmith("models", "list", "--json").json["models"]
    assert (listed["name"], listed["folder"], listed["used_by"]) == (f"modelscope:{ID}", str(folder), [])
    assert "modelscope:tunesmith/tiny-model" in tunesmith("models", "list").out
    shown = tunesmith("models", "show", ID, "--offline", "--json").json
    assert shown["here"][0]["bytes"] == listed["bytes"] and shown["fit"]["verdict"] in (
        "fits",
        "tight",
        "not",
        "quantized",
    )
    assert tunesmith("models", "verify").out.startswith("whole")
    asked = tunesmith("models", "remove", ID, "--json")
    assert (asked.code, asked.json["error"]["code"]) == (1, "not_confirmed")
    assert tunesmith("models", "remove", ID, "--yes", "--json").json["freed_bytes"] >= listed["bytes"]
    assert model_store.snapshots(home) == []


def test_show_says_what_a_hub_has_without_fetching_it(hub: FakeHub, tunesmith: Any, home: Home) -> None:
    shown = tunesmith("models", "show", ID, "--hub", "huggingface", "--json").json
    assert (shown["license"], shown["gated"], shown["parameters"]) == ("apache-2.0", False, 4096 * 32)
    assert shown["fetched_bytes"] == sum(len(hub.files[name]) for name in NEEDED)
    assert {file["path"] for file in shown["files"] if file["needed"]} == set(NEEDED)
    assert model_store.snapshots(home) == [] and shown["here"] == []


def test_a_model_nothing_here_knows_is_planned_from_what_its_hub_says(hub: FakeHub, tunesmith: Any) -> None:
    hub.files["config.json"] = json.dumps(CONFIG | {"vocab_size": 4096}).encode()
    ran = tunesmith("plan", "--model", ID, "--json")
    assert ran.code == 0, ran.err
    offline = tunesmith("plan", "--model", "other/model", "--offline", "--json")
    assert (offline.code, offline.json["error"]["code"]) == (1, "offline")


def test_search_tells_what_is_of_the_catalogue(hub: FakeHub, tunesmith: Any) -> None:
    ran = tunesmith("models", "search", "tiny", "--offline", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, "offline")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("models", "pull", "no-such-model"), "unknown_model"),
        (("models", "pull", "huggingface:x"), "model_source"),
        (("models", "pull", ID, "--hub", "hugingface"), "unknown_hub"),
        (("models", "remove", "org/name", "--yes"), "model_missing"),
        (("models", "verify", "org/name"), "model_missing"),
        (("models", "remove", "starter", "--yes"), "starter"),
        (("models", "import", "/no/such/folder"), "model_missing"),
        (("models", "import", "/no/such.gguf"), "model_missing"),
    ],
)
def test_what_cannot_be_is_a_sentence_and_a_way_out(
    words: tuple[str, ...], code: str, hub: FakeHub, tunesmith: Any
) -> None:
    ran = tunesmith(*words, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (1, code)
    assert ran.json["error"]["hint"]
