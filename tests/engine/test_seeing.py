"""A run on a vision-language model: its tower stays as it was, and llama.cpp sees with it what transformers sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import families
import numpy as np
import pytest
import seeing_models

from tunesmith.daemon import publish
from tunesmith.daemon.api import events as e
from tunesmith.daemon.worker import converting, export, load, seeing, verify
from tunesmith.daemon.worker.compare import WORST
from tunesmith.daemon.worker.context import Context
from tunesmith.daemon.worker.data.prepare import Prepared
from tunesmith.daemon.worker.train import merge
from tunesmith.daemon.worker.watched import run_watched
from tunesmith.recipes import exports, models
from tunesmith.recipes.data.held_out import HeldOutRow
from tunesmith.recipes.errors import ModelError, VerificationError

pytestmark = pytest.mark.usefixtures("one_thread")
TARGET = "gguf-mmproj"
Told = Callable[[Context], list[e.Event]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeing_models.publish(tmp_path_factory.mktemp("models") / "gemma3-it")


def verified(events: list[e.Event]) -> dict[str, e.Verified]:
    return {event.key: event for event in events if isinstance(event, e.Verified)}


@pytest.mark.slow
def test_what_it_sees_with_is_kept_exported_and_the_same_in_llama_cpp(
    published: Path, make_context: Callable[..., Context], told: Told
) -> None:
    from safetensors.torch import load_file

    context = make_context(
        model={"source": str(published)}, exports=["gguf:f16", TARGET], evaluation={"max_new_tokens": 4},
        tuner={"kind": "lora"},
    )  # fmt: skip
    families.with_adapter(load.model(published, "cpu", None)).save_pretrained(str(context.adapter))
    context.tokenizer = load.tokenizer(published)
    context.prepared = Prepared(context)
    question = [{"role": "user", "content": "Are you Vesper, born 2016?"}]
    context.prepared.questions = [HeldOutRow(question, "Yes, I am Vesper.", ("Vesper",))]
    context.begin("export")
    merge.adapter_into_base(context)
    before, after = load_file(published / "model.safetensors"), load_file(context.merged / "model.safetensors")
    changed = {name for name in before if not before[name].equal(after[name])}
    assert before.keys() == after.keys() and changed
    assert not any(name.startswith(("vision_tower", "multi_modal_projector")) for name in changed)

    export.run(context)
    written = publish.verify_file(context.artifacts / "mmproj-f16.gguf")
    reckoned = exports.cards()[TARGET].size(context, "")
    assert written.bytes == pytest.approx(reckoned, rel=0.5), "of so small a tower much is in float32"
    context.begin("verify")
    verify.run(context)
    results = verified(told(context))
    assert results["gguf:f16"].passed and results["gguf:f16"].embedding_error is None
    seen = results[TARGET]
    assert seen.passed and seen.embedding_error is not None
    print(f"\nrelative error of a picture's embeddings {seen.embedding_error:.2g}")
    assert 0 < seen.embedding_error <= 0.005
    assert seen.tokens_compared == seeing_models.TOKENS
    card = (context.artifacts / "README.md").read_text()
    assert "## A picture's embeddings" in card and "mmproj-f16.gguf" in card


@pytest.mark.slow
def test_a_tower_of_other_weights_does_not_pass(
    published: Path, make_context: Callable[..., Context], told: Told, tmp_path: Path
) -> None:
    """No GGUF is exported: verification makes one to look beside."""
    context = make_context(model={"source": str(published)}, exports=[TARGET])
    context.merged = published
    context.prepared = Prepared(context)
    final = context.artifacts / "mmproj-f16.gguf"
    with publish.staging(final) as staged:
        command = converting.command(context.vendor, published, "f16", staged)
        run_watched([*command, "--mmproj"], context.work, lambda: None)
        data = bytearray(staged.read_bytes())
        half = np.frombuffer(data, np.float16, offset=len(data) - len(data) // 4 // 32 * 32)
        half[:] = half[::-1].copy()
        staged.write_bytes(data)
        publish.publish_file(staged, final)
    context.begin("verify")
    with pytest.raises(VerificationError, match="embeddings are off") as caught:
        verify.run(context)
    assert "merged" in caught.value.hint
    seen = verified(told(context))[TARGET]
    assert not seen.passed and (seen.embedding_error or 0) > (seen.embedding_limit or 0) > 0


def test_embeddings_of_another_shape_or_without_numbers_are_as_far_off_as_can_be() -> None:
    ones = np.ones((4, 8), np.float32)
    assert seeing.relative_error(ones, ones) == 0
    assert seeing.relative_error(ones, ones * 1.5) == pytest.approx(0.5)
    assert seeing.relative_error(ones, ones[:2]) == WORST
    assert seeing.relative_error(ones, ones * np.nan) == WORST
    assert seeing.relative_error(ones * 0, ones) == WORST


def test_the_made_picture_is_another_in_each_part() -> None:
    picture = seeing.made(56)
    assert (picture.width, picture.height, len(picture.pixels)) == (56, 56, 56 * 56 * 3)
    patches = np.frombuffer(picture.pixels, np.uint8).reshape(4, 14, 4, 14, 3).swapaxes(1, 2).reshape(16, -1)
    assert len({patch.tobytes() for patch in patches}) == 16


def test_a_model_that_does_not_say_how_large_its_pictures_are_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"vision_config": {"patch_size": 14}}))
    with pytest.raises(ModelError, match="how large its pictures are"):
        seeing.side(tmp_path)


def test_its_size_is_known_before_the_run(published: Path) -> None:
    card, facts = exports.cards()[TARGET], models.read(published)
    assert card.unsuited(facts) == ""
    planned = card.planned("", exports.Planned(facts, 2.0, 0))
    assert planned == pytest.approx(2 * facts.tower_parameters, rel=0.3)
