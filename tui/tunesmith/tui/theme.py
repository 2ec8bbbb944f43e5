"""The wizard's colour themes: dark, light, high contrast; styles name roles ($primary, $success ...), never colours."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="tunesmith-dark",
    primary="#f2a65a",
    secondary="#6fb1c7",
    accent="#f2a65a",
    warning="#e6c35c",
    error="#ec6a5e",
    success="#8bc47e",
    foreground="#e4e0d8",
    background="#16171a",
    surface="#1d1f23",
    panel="#282b31",
    dark=True,
    variables={
        "block-cursor-background": "#f2a65a",
        "block-cursor-foreground": "#16171a",
        "footer-key-foreground": "#f2a65a",
        "footer-background": "#1d1f23",
        "border": "#f2a65a",
        "border-blurred": "#3a3e46",
    },
)

LIGHT = Theme(
    name="tunesmith-light",
    primary="#944807",
    secondary="#195f78",
    accent="#944807",
    warning="#6f5200",
    error="#a8211a",
    success="#266522",
    foreground="#0a0b0d",
    background="#faf8f4",
    surface="#f1eee7",
    panel="#e5e0d6",
    dark=False,
    variables={
        "block-cursor-background": "#944807",
        "block-cursor-foreground": "#faf8f4",
        "footer-key-foreground": "#944807",
        "footer-background": "#f1eee7",
        "border": "#944807",
        "border-blurred": "#c9c2b4",
    },
)

CONTRAST = Theme(
    name="tunesmith-contrast",
    primary="#ffc27a",
    secondary="#8fd8f0",
    accent="#ffc27a",
    warning="#ffe27a",
    error="#ffa39a",
    success="#a8f09a",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#101114",
    dark=True,
    variables={
        "block-cursor-background": "#ffc27a",
        "block-cursor-foreground": "#000000",
        "footer-key-foreground": "#ffc27a",
        "footer-background": "#000000",
        "border": "#ffffff",
        "border-blurred": "#9a9a9a",
    },
)

THEMES = (DARK, LIGHT, CONTRAST)
