"""Images in the chat screen: attached by path or picked, taken back, sent, shown, and refused with what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from histories import finished
from live import Alone, FakeClient
from opened_chat import open_chat
from patience import notices
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import DirectoryTree, Input, Static

from tunesmith.tui import texts
from tunesmith.tui.screens.chat import ChatScreen
from tunesmith.tui.screens.pick import PickScreen
from tunesmith.tui.widgets.attached_images import AttachedImages, AttachedLine

Snap = Callable[..., bool]


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (640, 480)).save(folder / "cat.png")
    Image.new("RGB", (48, 64)).save(folder / "我的狗.JPG")
    (folder / "notes.txt").write_text("no image", "utf-8")
    return folder / "cat.png"


async def say(pilot: Pilot[None], text: str) -> None:
    """A question, or a command; then until what it began is done."""
    pilot.app.screen.query_one("#question", Input).value = text
    await pilot.press("enter")
    await pilot.app.workers.wait_for_complete()
    await pilot.pause(0.05)


def shown(screen: ChatScreen) -> list[str]:
    return [str(line.render()) for line in screen.query(AttachedLine)]


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
def test_an_image_in_the_conversation_and_one_that_is_attached_look_right(
    snap_compare: Snap, cat: Path, size: tuple[int, int]
) -> None:
    async def talk(pilot: Pilot[None]) -> None:
        await open_chat(pilot, FakeClient(identity=finished()))
        await say(pilot, f"/image {cat}")
        await say(pilot, "What is this?")
        await say(pilot, f"/image {cat.with_name('我的狗.JPG')}")

    assert snap_compare(Alone(Static()), terminal_size=size, run_before=talk)


async def test_an_image_goes_with_the_next_question_and_stays_in_the_conversation(cat: Path) -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        await say(pilot, f"/image '{cat}'")
        assert shown(screen) == ["▣ cat.png · 640 × 480  ✕ f7 takes it back"]
        await say(pilot, "What is this?")
        assert shown(screen) == [] and screen.attached == ()
        turn = screen.panes[0].turns[0]
        assert [image.name for image in turn.images] == ["cat.png"]
        said = str(screen.panes[0].query(Static).first().render())
        assert said == "You\n▣ cat.png · 640 × 480\nWhat is this?"
        await say(pilot, "And its colour?")
        first, _, second = fake.chats[1].messages
        assert len(first.images) == 1 and first.images[0].startswith("data:image/png;base64,")
        assert first.content == "What is this?" and second.images == ()


async def test_the_conversation_is_the_same_after_a_change_of_language(cat: Path) -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        await say(pilot, f"/image {cat}")
        await say(pilot, "What is this?")
        await say(pilot, f"/image {cat}")
        texts.use("zh")
        await screen.recompose()
        await pilot.pause(0.05)
        assert "cat.png · 640 × 480" in str(screen.panes[0].query(Static).first().render())
        assert len(shown(screen)) == 1
        await say(pilot, "two")
        assert [len(message.images) for message in fake.chats[1].messages] == [1, 0, 1]


async def test_one_is_picked_by_the_key_among_the_images_alone(cat: Path) -> None:
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, FakeClient(identity=finished()))
        screen.files.folder = cat.parent
        await pilot.press("f6")
        await pilot.pause(0.1)
        picker = pilot.app.screen
        assert isinstance(picker, PickScreen)
        listed = picker.query_one(DirectoryTree).root.children
        assert [str(node.label) for node in listed] == ["cat.png", "我的狗.JPG"]
        await pilot.press("down", "down", "enter")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert shown(screen) == ["▣ 我的狗.JPG · 48 × 64  ✕ f7 takes it back"]
        assert pilot.app.focused is screen.query_one("#question")


async def test_images_are_taken_back_by_key_and_by_mouse(cat: Path) -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test(size=(80, 24)) as pilot:
        screen = await open_chat(pilot, fake)
        assert not screen.check_action("take_back", ())
        for name in ("cat.png", "我的狗.JPG", "cat.png"):
            await say(pilot, f"/image {cat.with_name(name)}")
        assert screen.check_action("take_back", ())
        await pilot.press("f7")
        assert [image.name for image in screen.attached] == ["cat.png", "我的狗.JPG"]
        await pilot.click(AttachedLine)
        await pilot.pause()
        assert [image.name for image in screen.attached] == ["我的狗.JPG"]
        screen.query_one(AttachedLine).focus()
        await pilot.press("delete")
        await pilot.pause()
        assert screen.attached == () and not screen.query_one(AttachedImages).display
        await say(pilot, "Hello")
        assert fake.chats[0].messages[0].images == ()


async def test_with_a_model_that_takes_none_the_key_says_so_and_what_to_do(cat: Path) -> None:
    fake = FakeClient(identity=finished())
    fake.sees = False
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        await pilot.press("f6")
        await pilot.pause(0.1)
        assert pilot.app.screen is screen
        await say(pilot, f"/image {cat}")
        assert screen.attached == ()
        for said in notices(pilot):
            assert "reads text alone" in said and "tunesmith export 1 --to gguf:q8_0,gguf-mmproj" in said


async def test_what_cannot_be_sent_is_said_at_once_and_the_question_is_kept(cat: Path) -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        await say(pilot, f"/image {cat.with_name('gone.png')}")
        await say(pilot, f"/image {cat.with_name('notes.txt')}")
        for _ in range(4):
            await say(pilot, f"/image {cat}")
        await say(pilot, "")
        await say(pilot, "What are these?")
        await say(pilot, f"/image {cat}")
        assert [len(message.images) for message in fake.chats[0].messages] == [4] and screen.attached == ()
        gone, text, empty, many = notices(pilot)
        assert "cannot be read" in gone and "as an image" in text
        assert empty == texts.t("chat.image_needs_text") and "takes 4 images in all" in many
        await pilot.press("f5")
        await say(pilot, f"/image {cat}")
        assert len(screen.attached) == 1


async def test_the_base_has_images_of_its_own_conversation_alone(cat: Path) -> None:
    fake = FakeClient(identity=finished())
    async with Alone(Static()).run_test() as pilot:
        screen = await open_chat(pilot, fake)
        for _ in range(3):
            await say(pilot, f"/image {cat}")
        await say(pilot, "one")
        await pilot.press("f2")
        await say(pilot, f"/image {cat}")
        await say(pilot, f"/image {cat}")
        await pilot.press("f3")
        await say(pilot, "two")
        assert len(fake.chats) == 1 and screen.query_one("#question", Input).value == "two"
        await pilot.press("f2")
        await pilot.press("enter")
        await pilot.pause(0.05)
        assert fake.chats[1].base and len(fake.chats[1].messages[0].images) == 2
