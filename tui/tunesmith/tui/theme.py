"""The wizard's two colour themes, dark and light; styles name roles ($primary, $success ...), never colours."""

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
    primary="#a8530b",
    secondary="#1f6f8b",
    accent="#a8530b",
    warning="#8a6500",
    error="#b3261e",
    success="#2f7a2b",
    foreground="#24262b",
    background="#faf8f4",
    surface="#f1eee7",
    panel="#e5e0d6",
    dark=False,
    variables={
        "block-cursor-background": "#a8530b",
        "block-cursor-foreground": "#faf8f4",
        "footer-key-foreground": "#a8530b",
        "footer-background": "#f1eee7",
        "border": "#a8530b",
        "border-blurred": "#c9c2b4",
    },
)

THEMES = (DARK, LIGHT)
