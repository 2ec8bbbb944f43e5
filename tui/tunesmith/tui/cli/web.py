"""`tunesmith web`: the wizard in a browser on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from tunesmith.tui.cli.options import Json


def web(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="On 127.0.0.1; 0 is any that is free.")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the link, open no browser.")] = False,
    as_json: Json = False,
) -> None:
    """Open the wizard in a browser on this machine; nobody else can reach it.

    The link works once, for one browser; then the next is printed. Ctrl-c ends it, runs go on.

    Example: tunesmith web --port 8421 --no-open
    """
    import asyncio
    import contextlib
    import os
    import sys
    import webbrowser

    from tunesmith.tui import texts
    from tunesmith.tui.cli import render
    from tunesmith.tui.texts import t
    from tunesmith.tui.web.server import serve

    texts.use(texts.from_environment(os.environ))
    opens = not no_open and not as_json and has_browser(sys.platform, os.environ)
    out = sys.stdout

    def ready(link: str) -> None:
        with contextlib.redirect_stdout(out):
            if as_json:
                render.print_json({"url": link})
            else:
                print(link)
            out.flush()
        render.err().print(t("web.ready"))
        if opens:
            webbrowser.open(link)

    def used(link: str) -> None:
        render.err().print(f"{t('web.next')} {link}", soft_wrap=True, markup=False)

    # What a wizard's process leaves on its error stream, textual-serve prints on standard output.
    with contextlib.redirect_stdout(sys.stderr):
        asyncio.run(serve(port, ready, used))


def has_browser(platform: str, environ: Mapping[str, str]) -> bool:
    """Whether a browser with windows can be opened; one for terminals would take this one."""
    return platform == "darwin" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
