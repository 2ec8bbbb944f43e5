"""Colours can be read by everyone: contrasts by WCAG 2, NO_COLOR, and no meaning that colour alone carries."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.color import Color
from textual.pilot import Pilot
from textual.theme import Theme

from tunesmith.daemon.api.home import Home
from tunesmith.tui import app as wizard_app
from tunesmith.tui.app import TunesmithApp
from tunesmith.tui.data_preview import PLAIN, TRAINED, Piece, ShownPart
from tunesmith.tui.preferences import Preferences
from tunesmith.tui.theme import CONTRAST, DARK, LIGHT, THEMES
from tunesmith.tui.widgets.row_preview import STYLES, styled

HERE = Path(wizard_app.__file__).parent
BACKGROUNDS = ("background", "surface", "panel")
ROLES = ("foreground", "primary", "secondary", "accent", "warning", "error", "success")
FAINTEST_TEXT = 60  # percent of the foreground; what is fainter is a mark, an axis or the rest of a bar
AA, AAA = 4.5, 7.0


def luminance(colour: Color) -> float:
    """WCAG 2: relative luminance of an sRGB colour; white is 1, #777777 is 0.184."""
    parts = [part / 255 for part in colour.rgb]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def of(theme: Theme, role: str) -> Color:
    return Color.parse(theme.to_color_system().generate()[role])


def test_contrast_is_wcag_s() -> None:
    assert contrast(Color.parse("#ffffff"), Color.parse("#000000")) == pytest.approx(21)
    assert contrast(Color.parse("#ffffff"), Color.parse("#777777")) == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_text_can_be_read_on_every_ground(theme: Theme) -> None:
    least = AAA if theme is CONTRAST else AA
    measured = {}
    for ground in BACKGROUNDS:
        back = of(theme, ground)
        for role in ROLES:
            measured[role, ground] = contrast(of(theme, role), back)
        measured["faintest", ground] = contrast(back.blend(of(theme, "foreground"), FAINTEST_TEXT / 100), back)
    measured |= {
        ("button", role): contrast(of(theme, "background"), of(theme, role))
        for role in ("primary", "primary-lighten-1")
    }
    variables = theme.variables
    cursor = Color.parse(variables["block-cursor-foreground"]), Color.parse(variables["block-cursor-background"])
    measured["cursor", ""] = contrast(*cursor)
    keys = Color.parse(variables["footer-key-foreground"]), Color.parse(variables["footer-background"])
    measured["keys", ""] = contrast(*keys)
    assert len(measured) >= 27
    assert {what: round(ratio, 2) for what, ratio in measured.items() if ratio < least} == {}


def test_what_is_fainter_than_text_is_a_mark() -> None:
    fainter = re.compile(r"\(([^()]*?),\s*\"\$foreground (\d+)%\"\)")
    words = []
    for path in HERE.rglob("*.py"):
        for shown, percent in fainter.findall(path.read_text("utf-8")):
            if int(percent) < FAINTEST_TEXT and re.search(r"\bt\(|[A-Za-z]{4,}", re.sub(r"cells|width", "", shown)):
                words.append((path.name, shown, percent))
    sheet = (HERE / "app.tcss").read_text("utf-8")
    words += [("app.tcss", rule, "") for rule in re.findall(r"[^{}]*\{[^{}]*[^-]color: \$foreground [1-5]\d%", sheet)]
    assert words == []


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({}, DARK),
        ({"COLORFGBG": "0;15"}, LIGHT),
        ({"TUNESMITH_THEME": "contrast"}, CONTRAST),
        ({"TUNESMITH_THEME": "dark", "COLORFGBG": "0;15"}, DARK),
        ({"TUNESMITH_THEME": "none such"}, DARK),
    ],
)
def test_the_theme_is_what_was_asked_for_or_suits_the_terminal(environ: dict[str, str], theme: Theme) -> None:
    assert Preferences(Home(Path("/nowhere")), environ, kept=False).theme == theme.name


async def test_one_key_goes_through_all_themes() -> None:
    app = TunesmithApp(Home(Path("/nowhere")), live=False)
    async with app.run_test() as pilot:
        seen = [app.theme]
        for _ in THEMES:
            await pilot.press("ctrl+t")
            seen.append(app.theme)
    assert seen == [DARK.name, LIGHT.name, CONTRAST.name, DARK.name]


def greys(pilot: Pilot[None]) -> bool:
    drawn = [
        colour.triplet
        for strip in pilot.app.screen._compositor.render_strips()
        for segment in strip.apply_filter(pilot.app._filters[0], Color(0, 0, 0))
        if segment.style
        for colour in (segment.style.color, segment.style.bgcolor)
        if colour is not None and colour.triplet is not None
    ]
    assert len(drawn) > 50
    return all(red == green == blue for red, green, blue in drawn)


async def test_no_color_leaves_no_colour_in_the_wizard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = TunesmithApp(Home(Path("/nowhere")), live=False)
    async with app.run_test() as pilot:
        assert app.no_color
        assert greys(pilot)


def test_what_is_trained_has_a_line_beside_its_colour() -> None:
    part = ShownPart("conversation", (Piece("Who are you?", PLAIN), Piece("I am Vesper.\n", TRAINED)))
    assert [("underline" in style, text) for text, style in styled(part)] == [
        (False, "Who are you?"), (True, "I am Vesper.↵\n")
    ]  # fmt: skip
    assert "underline" in STYLES[TRAINED]
