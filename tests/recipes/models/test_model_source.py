"""What model.source may say means one thing everywhere, whatever is typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.recipes import spec as recipe
from tunesmith.recipes.errors import RecipeError
from tunesmith.recipes.models import catalogue, source
from tunesmith.recipes.models.source import Folder, GgufFile, Named, Repository, Starter

NAMES = st.from_regex(source.NAME, fullmatch=True).filter(source.is_name)
REVISIONS = st.from_regex(source.REVISION, fullmatch=True).filter(source.is_revision)
KEY = "qwen2.5-0.5b-instruct"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("starter", Starter()),
        ("/models/mine", Folder("/models/mine")),
        ("~/mine", Folder("~/mine")),
        ("./org/name", Folder("./org/name")),
        ("../m", Folder("../m")),
        ("one/two/three", Folder("one/two/three")),
        ("no-such-name", Folder("no-such-name")),
        ("org/file.gguf", GgufFile("org/file.gguf")),
        ("/models/X-Q8_0.GGUF", GgufFile("/models/X-Q8_0.GGUF")),
        (KEY, Named(KEY)),
        (f"{KEY}@v1", Named(KEY, "v1")),
        ("Qwen/Qwen2.5-0.5B", Repository("", "Qwen/Qwen2.5-0.5B")),
        ("huggingface:a/b", Repository("huggingface", "a/b")),
        ("modelscope:a/b@release/v1.0", Repository("modelscope", "a/b", "release/v1.0")),
        ("local:mine", Repository("local", "mine")),
    ],
)
def test_each_form_means_one_thing(text: str, meant: source.Source) -> None:
    assert source.parse(text) == meant
    assert str(meant) == text


@given(st.sampled_from(("", *source.HUBS)), NAMES, NAMES, st.just("") | REVISIONS)
def test_an_id_written_out_is_read_as_the_same(hub: str, owner: str, name: str, revision: str) -> None:
    meant = Repository(hub, f"{owner}/{name}", revision)
    again = source.parse(str(meant))
    assert again == meant or (not hub and isinstance(again, GgufFile))


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        meant = source.parse(text)
    except RecipeError as error:
        assert error.hint
        return
    assert str(meant) == text
    if isinstance(meant, Repository):  # becomes a path in the cache
        assert not {"..", "", "."} & set(Path(meant.id).parts) and "\0" not in text


@pytest.mark.parametrize(
    "text", ["huggingface:", "modelscope:name", "huggingface:a/../b", "local:a/b", "modelscope:a/b@"]
)
def test_a_hub_without_a_model_is_refused(text: str) -> None:
    with pytest.raises(RecipeError) as refused:
        source.parse(text)
    assert refused.value.code == "model_source" and "Write" in refused.value.hint


def test_a_folder_that_is_there_goes_before_an_id(tmp_path: Path) -> None:
    assert source.located("org/name", tmp_path) == "org/name"
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert source.located("org/name", tmp_path) == str(tmp_path / "org" / "name")
    assert source.located("huggingface:org/name", tmp_path) == "huggingface:org/name"
    assert source.located("mine.gguf", tmp_path) == str(tmp_path / "mine.gguf")


def test_a_recipe_keeps_an_id_as_it_is_written(tmp_path: Path) -> None:
    spec = recipe.parse("model: {source: 'huggingface:org/name@v2'}", tmp_path)
    assert spec.model.source == "huggingface:org/name@v2"
    assert recipe.parse(recipe.to_yaml(spec), tmp_path) == spec


def test_the_catalogue_knows_a_model_by_its_ids_at_both_hubs() -> None:
    entry = catalogue.find(KEY)
    for text in (KEY, entry.huggingface):
        asked = source.parse(text)
        assert isinstance(asked, Named | Repository)
        assert source.candidates(asked, "modelscope")[0] == ("modelscope", entry.modelscope)
        assert source.candidates(asked, "huggingface")[0] == ("huggingface", entry.huggingface)
    assert source.candidates(Repository("", "a/b"), "modelscope") == (("modelscope", "a/b"), ("huggingface", "a/b"))
    assert source.candidates(Repository("huggingface", "a/b"), "modelscope") == (("huggingface", "a/b"),)


def test_the_hub_that_goes_first_is_chosen_by_the_environment() -> None:
    assert source.preferred({}) == "modelscope"
    assert source.preferred({"TUNESMITH_HUB": "HuggingFace"}) == "huggingface"
    with pytest.raises(RecipeError, match="TUNESMITH_HUB") as refused:
        source.preferred({"TUNESMITH_HUB": "hugingface"})
    assert "'huggingface'" in refused.value.hint
