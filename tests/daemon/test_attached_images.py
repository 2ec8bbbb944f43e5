"""Images of a person's files: PNG, JPEG and WebP by what is in them, bounded in bytes, pixels and number."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from PIL import Image

from tunesmith.daemon.api import images
from tunesmith.daemon.api.images import Attached
from tunesmith.recipes.errors import DataError

UPRIGHT = 6  # what a camera that was held upright writes into Exif


def picture(path: Path, kind: str, width: int = 40, height: int = 20, turned: int = 1) -> Path:
    exif = Image.Exif()
    exif[0x0112] = turned
    Image.new("RGB", (width, height), "teal").save(path, kind, exif=exif)
    return path


def refusal(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        images.read(path)
    assert str(path) in caught.value.message and caught.value.hint
    return caught.value


@pytest.mark.parametrize("kind", images.KINDS)
def test_a_file_is_known_by_what_is_in_it_and_sent_as_it_is(tmp_path: Path, kind: str) -> None:
    path = picture(tmp_path / "holiday.txt", kind)
    url = f"data:image/{images.KINDS[kind]};base64,{base64.b64encode(path.read_bytes()).decode()}"
    assert images.read(path) == Attached("holiday.txt", 40, 20, url)


def test_it_is_as_large_as_it_is_looked_at(tmp_path: Path) -> None:
    found = images.read(picture(tmp_path / "a.jpg", "JPEG", turned=UPRIGHT))
    assert (found.width, found.height) == (20, 40)


def test_what_is_no_file_is_missing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening one would wait for ever
    for path in (tmp_path / "none.png", tmp_path, tmp_path / "pipe", tmp_path / ("x" * 300), tmp_path / "a\0b"):
        assert refusal(path).code == "image_missing"


def test_what_is_no_image_or_half_of_one_or_of_another_kind_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image", "utf-8")
    (tmp_path / "empty.png").write_bytes(b"")
    whole = picture(tmp_path / "whole.png", "PNG", 200, 200).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    picture(tmp_path / "moving.png", "GIF")
    for name in ("text.png", "empty.png", "half.png", "moving.png"):
        assert refusal(tmp_path / name).code == "image_unknown"


def test_one_of_too_many_bytes_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = picture(tmp_path / "a.png", "PNG")
    with path.open("ab") as file:
        file.truncate(images.FILE_BYTES)
    found = images.read(path)
    assert images.URL_BYTES - 4 < len(found.url) <= images.URL_BYTES
    monkeypatch.setattr(images, "decoded", lambda *_: pytest.fail("it was decoded"))
    with path.open("ab") as file:
        file.truncate(images.FILE_BYTES + 1)
    assert refusal(path).code == "image_too_large"


def test_one_of_too_many_pixels_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = picture(tmp_path / "a.png", "PNG")
    monkeypatch.setattr(images, "PIXELS", 40 * 20 - 1)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("it was read"))
    assert refusal(path).code == "image_too_large"


def test_a_chat_takes_a_few_of_bounded_size_together() -> None:
    images.refuse_too_many(["x"] * images.IMAGES)
    images.refuse_too_many(["x" * images.URL_BYTES])
    for urls in (["x"] * (images.IMAGES + 1), ["x" * (images.URL_BYTES - 1), "xx"]):
        with pytest.raises(DataError) as caught:
            images.refuse_too_many(urls)
        assert caught.value.code == "too_many_images"
