"""`tunesmith chat`: talk to a tuned model, or ask it one question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunesmith.tui.cli import completing
from tunesmith.tui.cli.options import Json


def chat(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run's number, or `last` for the newest finished.", autocompletion=completing.runs
        ),
    ] = "last",
    base: Annotated[bool, typer.Option("--base", help="Talk to the untuned model instead.")] = False,
    both: Annotated[
        bool, typer.Option("--both", help="Ask both, one answer below the other; /vote says which is better.")
    ] = False,
    go_on: Annotated[
        bool, typer.Option("--continue", "-c", help="Go on with the newest saved chat of this run.")
    ] = False,
    system: Annotated[str | None, typer.Option("--system", help="The system prompt.")] = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Ask this one thing and end.")] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(
            "--image", metavar="FILE", help="A PNG, JPEG or WebP that the (first) message is about; again for more."
        ),
    ] = None,
    tools: Annotated[
        Path | None,
        typer.Option("--tools", metavar="FILE", help="JSON: a list of the tools that the model may call."),
    ] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="The longest answer.")] = 512,
    temperature: Annotated[
        float, typer.Option("--temperature", min=0.0, max=5.0, help="0 is always the likeliest.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="For temperatures above 0.")] = 0,
    as_json: Json = False,
) -> None:
    """Chat with the model that a run made.

    Ctrl-c stops an answer; at the prompt it leaves; /help lists what can be typed there, /both and /vote for example.
    A talk at a terminal is kept as it goes, in `chats/run-RUN` of Tunesmith's home, where the wizard lists it too.
    Of --message and of what is piped in nothing is kept.
    Images go to a vision model whose run has a GGUF and gguf-mmproj. Tools are in OpenAI's form, or functions alone;
    what the model calls is shown, and you type the result.

    Example: tunesmith chat last --both
    """
    import sys

    from tunesmith.daemon.api import tools as tools_file
    from tunesmith.daemon.api.requests import Chat
    from tunesmith.tui.cli.talk import Talk

    if as_json and message is None:
        message = "" if sys.stdin.isatty() else sys.stdin.read()
    if message is not None and not message.strip():
        raise typer.BadParameter("there is nothing to answer: give --message TEXT, or pipe a message in")
    if base and both:
        raise typer.BadParameter("give --base or --both, not the two")
    known = () if tools is None else tools_file.read(tools.expanduser())
    settings = Chat((), max_tokens=max_tokens, temperature=temperature, seed=seed)
    with Talk(run, settings, one=message is not None) as talk:
        if go_on:
            talk.say(talk.kept.open_newest())
        if base or both:
            talk.sides.mode = "base" if base else "split"
        if system is not None:
            talk.sides.system = system
        if known:
            talk.sides.tools = known
        for path in image or ():
            talk.attach(path)
        if message is None:
            talk.loop()
        else:
            talk.once(message, as_json)
