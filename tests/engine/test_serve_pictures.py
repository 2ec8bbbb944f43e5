"""The process that answers from a GGUF with what it sees with: pictures among the tokens, as transformers has them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import seeing_models
from PIL import Image
from serving_child import Child, child, ended, refused, scores_of, text_of

from tunesmith.daemon.api import images
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Chat, ChatMessage
from tunesmith.daemon.server import chat
from tunesmith.daemon.serving.lines import Ready
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.daemon.worker import converting, load, seeing
from tunesmith.daemon.worker.engines import Picture
from tunesmith.daemon.worker.serve import pictures
from tunesmith.daemon.worker.watched import run_watched
from tunesmith.recipes.errors import ModelError

QUESTION = "What is this?"
SEES = Subject(name="x", path=Path("model-f16.gguf"), log=Path("log"), eyes=Path("mmproj-f16.gguf"))


def png(picture: Picture, kind: str = "PNG") -> str:
    file = io.BytesIO()
    Image.frombytes("RGB", (picture.width, picture.height), picture.pixels).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


WAVES = seeing.made(seeing_models.SIDE)
FLAT = Picture(WAVES.width, WAVES.height, bytes(len(WAVES.pixels)))


def looking(count: int = 1) -> Any:
    return ({"role": "user", "content": [*[{"type": "picture"}] * count, {"type": "text", "text": QUESTION}]},)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeing_models.publish(tmp_path_factory.mktemp("models") / "gemma3-it")


@pytest.fixture(scope="module")
def served(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    folder = tmp_path_factory.mktemp("exported")
    command = converting.command(Home.find().vendor, published, "f16", folder / "model-f16.gguf")
    run_watched(command, folder, lambda: None)
    command = converting.command(Home.find().vendor, published, "f16", folder / "mmproj-f16.gguf")
    run_watched([*command, "--mmproj"], folder, lambda: None)
    with child(folder / "model-f16.gguf", "--mmproj", folder / "mmproj-f16.gguf") as one:
        assert isinstance(one.hear(), Ready)
        yield one


def by_transformers(folder: Path, picture: Picture) -> Any:
    """The logarithms of the next token's probabilities behind the picture and the question."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    image = Image.frombytes("RGB", (picture.width, picture.height), picture.pixels)
    pixels = processor(images=image, return_tensors="pt")["pixel_values"]
    tokenizer = load.tokenizer(folder)
    begin, end, soft = (tokenizer.convert_tokens_to_ids(token) for token in seeing_models.SEEN)
    before, after = (
        tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in ("<bos><start_of_turn>user\n", f"{QUESTION}<end_of_turn>\n<start_of_turn>model\n")
    )
    ids = torch.tensor([[*before, begin, *[soft] * seeing_models.TOKENS, end, *after]])
    with torch.inference_mode():
        found = model(input_ids=ids, pixel_values=pixels, token_type_ids=(ids == soft).long())
    return found.logits[0, -1].log_softmax(-1), ids.shape[1]


@pytest.mark.slow
def test_a_picture_stands_among_the_tokens_as_in_transformers(served: Child, published: Path, tmp_path: Path) -> None:
    wanted, length = by_transformers(published, WAVES)
    found = served.ask("", messages=looking(), pictures=(png(WAVES),), max_tokens=1, logprobs=5)
    assert ended(found).prompt_tokens == length
    (score,) = scores_of(found)
    best = wanted.topk(5).values.numpy()
    assert np.allclose([logprob for _, logprob in score.top], best, atol=0.02)
    file = tmp_path / "waves.png"
    file.write_bytes(base64.b64decode(png(WAVES)))
    asked = Chat((ChatMessage("user", QUESTION, (images.read(file).url,)),), max_tokens=1)
    served.send(chat.question(asked, SEES)(id := served.new_id()))  # as the daemon's own chat asks
    assert ended(chatted := served.until(id)).cached == length - 1
    assert text_of(chatted) == text_of(found)
    flat = served.ask("", messages=looking(), pictures=(png(FLAT),), max_tokens=1, logprobs=5)
    assert not np.allclose([logprob for _, logprob in scores_of(flat)[0].top], best, atol=0.02)


@pytest.mark.slow
def test_a_picture_that_was_seen_is_not_looked_at_again_and_another_is(served: Child) -> None:
    first = served.ask("", messages=looking(2), pictures=(png(WAVES), png(FLAT)), max_tokens=4)
    again = served.ask("", messages=looking(2), pictures=(png(WAVES), png(FLAT)), max_tokens=4)
    other = served.ask("", messages=looking(2), pictures=(png(FLAT), png(WAVES)), max_tokens=4)
    assert text_of(first) == text_of(again)
    assert ended(again).cached == ended(first).prompt_tokens - 1
    assert ended(other).cached < 2 * seeing_models.TOKENS


@pytest.mark.slow
def test_what_is_no_picture_is_refused_and_the_process_goes_on(served: Child) -> None:
    for data in ("%%%", base64.b64encode(b"no picture").decode(), png(WAVES)[:400]):
        assert refused(served.ask("", messages=looking(), pictures=(data,), max_tokens=1)).code == "media"
    behind = ({"role": "user", "content": [{"type": "picture"}]},)
    assert ended(served.ask("", messages=behind, pictures=(png(WAVES),), max_tokens=1)).tokens == 1
    assert text_of(served.ask("Hello", max_tokens=2)) is not None


def test_a_picture_of_each_known_kind_is_decoded_and_turned_upright() -> None:
    for kind in images.KINDS:
        found = pictures.decoded(png(WAVES, kind))
        assert (found.width, found.height, len(found.pixels)) == (56, 56, 56 * 56 * 3)
    file, turned = io.BytesIO(), Image.Exif()
    turned[0x0112] = 6  # a camera that was held upright
    Image.new("RGB", (40, 20)).save(file, "JPEG", exif=turned)
    found = pictures.decoded(base64.b64encode(file.getvalue()).decode())
    assert (found.width, found.height) == (20, 40)


def test_a_picture_of_another_kind_or_of_too_many_pixels_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        pictures.decoded(png(WAVES, "GIF"))
    monkeypatch.setattr(images, "PIXELS", 56 * 56 - 1)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("it was read"))
    with pytest.raises(ModelError, match="pixels") as caught:
        pictures.decoded(png(WAVES))
    assert caught.value.code == "media"
