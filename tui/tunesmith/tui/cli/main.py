"""The command table of `tunesmith`; what a command does lies in the file of its name."""

from __future__ import annotations

import sys

import typer

from tunesmith.tui.cli import (
    chat,
    daemon,
    data,
    doctor,
    jobs,
    models,
    plan,
    quickstart,
    recipe,
    resume,
    run,
    serve,
    version,
)

app = typer.Typer(
    name="tunesmith",
    help="Fine-tune open models on your own machine. Without a command the wizard opens.",
    epilog="Example: tunesmith quickstart --name Vesper",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)
app.command("quickstart")(quickstart.quickstart)
app.command("plan")(plan.plan)
app.command("run")(run.run)
app.command("resume")(resume.resume)
app.add_typer(jobs.app, name="jobs")
app.command("chat")(chat.chat)
app.command("serve")(serve.serve)
app.command("doctor")(doctor.doctor)
app.add_typer(daemon.app, name="daemon")
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.add_typer(recipe.app, name="recipe")
app.command("version")(version.version)


@app.callback(invoke_without_command=True)
def wizard(context: typer.Context) -> None:
    """Fine-tune open models on your own machine. Without a command the wizard opens."""
    if context.invoked_subcommand is not None:
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        typer.echo(context.get_help(), nl=False)
        return
    from tunesmith.tui.app import run as open_wizard

    if not open_wizard():
        raise typer.Exit(2)


def main() -> None:
    from tunesmith.tui.cli.errors import guarded

    sys.exit(guarded(app, sys.argv[1:]))
