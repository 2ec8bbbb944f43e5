"""`tunesmith version`: what is installed, read from package metadata without importing any engine."""

from __future__ import annotations

import typer

from tunesmith.tui.cli.options import Json

ENGINE = ("torch", "transformers", "peft", "trl", "llama-cpp-python")


def version(as_json: Json = False) -> None:
    """Show the versions of Tunesmith and of the engine.

    Example: tunesmith version --json
    """
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    from tunesmith.daemon.api.requests import API_VERSION
    from tunesmith.tui.cli.render import print_json

    engine: dict[str, str | None] = {}
    for name in ENGINE:
        try:
            engine[name] = installed(name)
        except PackageNotFoundError:
            engine[name] = None
    ours = installed("tunesmith")
    if as_json:
        print_json({"version": ours, "api_version": API_VERSION, "python": platform.python_version(), "engine": engine})
        return
    typer.echo(f"tunesmith {ours}")
    typer.echo(f"python {platform.python_version()}")
    for name, found in engine.items():
        typer.echo(f"{name} {found or '(not installed)'}")
