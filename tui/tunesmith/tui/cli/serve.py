"""`tunesmith serve`: a run's model, a GGUF file or a model folder as an OpenAI-compatible endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tunesmith.tui.cli.options import Json

if TYPE_CHECKING:
    from tunesmith.daemon.api.client import Client
    from tunesmith.daemon.api.requests import LoadingModel, Serve, Serving

LOOK_EVERY_S = 1.0


def serve(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|GGUF|MODEL]",
            help="A run's number or `last`, with :f16, :adapter, :base and the like after it for another than its "
            "usual file; a .gguf file; a model folder; or a model by its name.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Also on 127.0.0.1 at this port, with a token; 0: any free one."),
    ] = None,
    name: Annotated[str, typer.Option("--name", help="What clients ask for, instead of the usual name.")] = "",
    adapter: Annotated[
        list[str] | None,
        typer.Option("--adapter", metavar="NAME=PATH", help="An adapter on that model, by a name of its own; again."),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="llama_cpp or transformers; vllm, sglang or lmdeploy where they are installed; auto takes what suits.",
        ),
    ] = "auto",
    context: Annotated[int, typer.Option("--context", min=64, max=131072, help="Tokens of a conversation.")] = 4096,
    slots: Annotated[int, typer.Option("--slots", min=1, max=32, help="Answers that are written at once.")] = 8,
    idle: Annotated[
        float | None, typer.Option("--idle", min=0.1, metavar="SECONDS", help="Unload it after so long.")
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Serve nothing any more.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Say what is served.")] = False,
    as_json: Json = False,
) -> None:
    """Serve a model to programs that speak OpenAI's interface.

    Over the daemon's socket always; over TCP only with --port, on this machine alone and with a token. The daemon goes
    on serving when this command has ended, until --stop or until it ends itself.

    Example: tunesmith serve last --port 8080
    """
    from tunesmith.daemon.api.requests import Serve
    from tunesmith.tui.cli.render import print_json
    from tunesmith.tui.cli.session import with_client

    if sum((model is not None, stop, status)) != 1:
        raise typer.BadParameter("give a model to serve, or --stop, or --status")
    adapters = dict(map(_named_path, adapter or ()))

    async def act(client: Client) -> Serving:
        if model is None:
            return await (client.unserve() if stop else client.serving())
        asked = Serve(await meant(client, model), name, adapters, port, engine, context, slots, idle)
        return await _loaded(client, asked)

    found = with_client(act)
    if as_json:
        print_json(found)
    else:
        show(found)


async def _loaded(client: Client, asked: Serve) -> Serving:
    """What is served when it answers; meanwhile how far it is: some engines take minutes to start."""
    import asyncio

    from rich.text import Text

    from tunesmith.tui.cli import render

    serving = asyncio.create_task(client.serve(asked))
    try:
        with render.err().status("") as status:
            while not (await asyncio.wait({serving}, timeout=LOOK_EVERY_S))[0]:
                loading = (await client.serving()).loading
                status.update(Text(loading_text(loading[-1])) if loading else "")
        return await serving
    finally:
        serving.cancel()


def loading_text(one: LoadingModel) -> str:
    """`qwen: loading for 0:42: vLLM: Loading safetensors checkpoint shards: 50%`."""
    from tunesmith.recipes.units import duration_text
    from tunesmith.tui.plain import one_line

    said = f": {one_line(one.said)}" if one.said else ""
    return f"{one_line(one.name)}: loading for {duration_text(one.seconds)}{said}"


def _named_path(text: str) -> tuple[str, str]:
    from pathlib import Path

    name, sign, path = text.partition("=")
    if not (name and sign and path):
        raise typer.BadParameter(f"'{text}' is not NAME=PATH")
    return name, str(Path(path).expanduser().resolve())


async def meant(client: Client, text: str) -> str:
    """As the daemon takes it: run-7:f16, an absolute path, or a model's name as it is. Raises JobError."""
    from pathlib import Path

    from tunesmith.recipes.models import source
    from tunesmith.tui.cli.session import find_run

    run, colon, variant = text.partition(":")
    if run == "last" or run.isdecimal():
        return f"run-{await find_run(client, run, finished=True)}{colon}{variant}"
    if isinstance(source.parse(text), source.GgufFile | source.Folder) and not text.startswith("run-"):
        return str(Path(text).expanduser().resolve())
    return text


def show(found: Serving) -> None:
    """What is served, and how to ask it."""
    import json

    from tunesmith.tui.cli.render import print_plain

    for one in found.loading:
        print_plain(loading_text(one))
    if not found.models:
        print("nothing is served (serve a run: tunesmith serve last)")
        return
    for model in found.models:
        state = f"loaded, {model.engine}" if model.loaded else "loaded when asked"
        print_plain(f"model      {model.name}  ({state})")
    print_plain(f"socket     {found.socket}")
    print(f"tcp        {found.url or 'not listening (--port)'}")
    body = json.dumps({"model": found.models[-1].name, "messages": [{"role": "user", "content": "Who are you?"}]})
    if found.url:
        print_plain(f"token      {found.token_file}")
        print_plain(f'\ncurl -H "Authorization: Bearer $(cat {found.token_file})" \\')
        address = f"{found.url}/chat/completions"
    else:
        print_plain(f"\ncurl --unix-socket {found.socket} \\")
        address = "http://tunesmith/v1/chat/completions"
    print_plain(f"  -H 'Content-Type: application/json' -d '{body}' \\\n  {address}")
