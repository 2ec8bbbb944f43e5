"""Images in OpenAI's interface: data: URLs alone, a few of bounded size, to models that see; never looked at here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tunesmith.daemon.api import images
from tunesmith.daemon.server.openai import asked, bounds, chat
from tunesmith.daemon.server.openai.errors import WrongField
from tunesmith.daemon.serving import subjects
from tunesmith.daemon.serving.subjects import Subject

SEES = Subject(name="x", path=Path("x.gguf"), log=Path("log"), eyes=Path("mmproj-f16.gguf"))
READS = msgspec.structs.replace(SEES, eyes=None)
DATA = "data:image/png;base64,iVBORw0KGgo="


def request(*urls: str) -> asked.ChatCompletion:
    parts: list[Any] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    messages = [{"role": "user", "content": [{"type": "text", "text": "Look:"}, *parts]}]
    return msgspec.convert({"model": "x", "messages": messages}, asked.ChatCompletion)


def refusal(subject: Subject, *urls: str) -> str:
    with pytest.raises(WrongField) as caught:
        chat.questions(request(*urls), subject)
    return caught.value.code


def test_an_image_goes_to_the_engine_as_it_came_with_its_place_in_the_message() -> None:
    (question,) = chat.questions(request(DATA, DATA), SEES)
    given = question(1)
    assert given.pictures == ("iVBORw0KGgo=",) * 2  # type: ignore[union-attr]
    assert given.messages[0]["content"] == [  # type: ignore[union-attr]
        {"type": "text", "text": "Look:"}, {"type": "picture"}, {"type": "picture"},
    ]  # fmt: skip


def test_a_text_in_parts_stays_a_text() -> None:
    (question,) = chat.questions(request(), READS)
    assert question(1).messages[0]["content"] == "Look:"  # type: ignore[union-attr]


@pytest.mark.parametrize("url", ["https://example.org/a.png", "file:///etc/passwd", "/etc/passwd", ""])
def test_an_address_is_never_followed(url: str) -> None:
    assert refusal(SEES, url) == refusal(READS, url) == "media_url"


def test_a_model_that_reads_text_alone_says_so() -> None:
    assert refusal(READS, DATA) == "media_unsupported"


@pytest.mark.parametrize(
    "urls",
    [
        ("data:image/svg+xml;base64,AAAA",),
        ("data:text/plain;base64,AAAA",),
        ("data:image/png,AAAA",),
        (DATA + "A" * images.URL_BYTES,),
        (DATA,) * (images.IMAGES + 1),
    ],
)
def test_what_is_no_picture_too_large_or_too_many_is_refused(urls: tuple[str, ...]) -> None:
    assert refusal(SEES, *urls) == "media"


def test_a_message_of_text_needs_no_eyes() -> None:
    found: list[str] = []
    assert bounds.content_of("Hello", 0, found, False) == "Hello" and found == []


def test_what_a_model_sees_with_is_found_beside_it(tmp_path: Path) -> None:
    assert subjects._eyes([tmp_path]) is None
    (tmp_path / "mmproj-f16.gguf").write_bytes(b"")
    assert subjects._eyes([tmp_path / "other", tmp_path]) == tmp_path / "mmproj-f16.gguf"
