"""The command table of `tunesmith`; what a command does lies in the file of its name."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from tunesmith.tui.cli import (
    chat,
    daemon,
    data,
    doctor,
    evaluate,
    export,
    jobs,
    merge,
    models,
    plan,
    quickstart,
    recipe,
    resume,
    run,
    serve,
    settings,
    version,
    web,
)

app = typer.Typer(
    name="tunesmith",
    help="Fine-tune open models on your own machine. Without a command the wizard opens.",
    epilog="Example: tunesmith quickstart --name Vesper",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("quickstart")(quickstart.quickstart)
app.command("plan")(plan.plan)
app.command("run")(run.run)
app.command("resume")(resume.resume)
app.add_typer(jobs.app, name="jobs")
app.command("chat")(chat.chat)
app.command("export")(export.export)
app.command("merge")(merge.merge)
app.command("eval")(evaluate.evaluate)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.add_typer(daemon.app, name="daemon")
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(recipe.app, name="recipe")
app.add_typer(settings.app, name="settings")
app.command("web")(web.web)
app.command("version")(version.version)


@app.callback(invoke_without_command=True)
def wizard(
    context: typer.Context,
    plain: Annotated[
        bool,
        typer.Option(
            "--plain",
            envvar="TUNESMITH_PLAIN",
            help="The wizard as plain lines and numbered questions: for screen readers, and for answers piped in.",
        ),
    ] = False,
) -> None:
    """Fine-tune open models on your own machine. Without a command the wizard opens."""
    if context.invoked_subcommand is not None:
        if context.invoked_subcommand != "settings":  # which says itself what is wrong with them
            settled()
        return
    if plain:
        from tunesmith.tui.spoken.wizard import run as ask

        return ask()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        typer.echo(context.get_help(), nl=False)
        return
    import gc

    from tunesmith.tui import frames

    gc.disable()  # importing makes no garbage; the wizard itself collects when it is idle
    frames.soon()
    from tunesmith.tui.app import run as open_wizard

    if not open_wizard():
        raise typer.Exit(2)


def settled() -> None:
    """Let the settings count for this command. Where they cannot be read, no connection is made, and that is said."""
    import os

    from tunesmith.daemon.api.home import Home
    from tunesmith.tui import texts
    from tunesmith.tui.preferences import Preferences

    preferences = Preferences(Home.find(), os.environ)
    texts.use(preferences.language)
    if (error := preferences.error) is not None:
        from tunesmith.tui.cli import render

        render.err().print(f"warning: {error.message}; this command makes no connection\n hint: {error.hint}")


def main() -> None:
    from tunesmith.tui.cli.errors import guarded

    sys.exit(guarded(app, sys.argv[1:]))
