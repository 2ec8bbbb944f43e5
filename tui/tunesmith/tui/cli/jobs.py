"""`tunesmith jobs`: look at runs and follow one; what changes them lies in the files beside this."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.tui.cli import comparing, job_cleaning, job_controls, more, reporting
from tunesmith.tui.cli.options import Json, RunId

app = typer.Typer(
    help="Look at runs, follow one, pause, stop or order them, clean up.",
    epilog="Example: tunesmith jobs follow last",
    no_args_is_help=True,
)
app.command("pause")(job_controls.pause)
app.command("resume")(job_controls.resume)
app.command("finish")(job_controls.finish)
app.command("retry")(job_controls.retry)
app.command("more")(more.more)
app.command("move")(job_controls.move)
app.command("cancel")(job_controls.cancel)
app.command("remove")(job_cleaning.remove)
app.command("clean")(job_cleaning.clean)
app.command("recover")(job_cleaning.recover)
app.command("compare")(comparing.compare)
app.command("report")(reporting.report)


@app.command("list")
def list_jobs(
    sizes: Annotated[bool, typer.Option("--sizes", help="Show what each run takes on the disk.")] = False,
    as_json: Json = False,
) -> None:
    """List all runs, newest first.

    Example: tunesmith jobs list --json
    """
    from tunesmith.daemon.api.client import Client
    from tunesmith.daemon.api.retention import Sizes
    from tunesmith.daemon.api.view import JobView
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.session import with_client

    async def act(client: Client) -> tuple[list[JobView], list[Sizes]]:
        return await client.jobs(), await client.sizes() if sizes else []

    views, measured = with_client(act)
    by_job = {found.job: found for found in measured}
    if as_json:
        rows = [render.summary(view) | ({"bytes": by_job.get(view.id)} if sizes else {}) for view in views]
        render.print_json({"jobs": rows})
    elif views:
        render.out().print(render.sizes_table(views, by_job) if sizes else render.jobs_table(views))
    else:
        render.err().print("No runs yet. Make one: tunesmith quickstart")


@app.command()
def show(run: RunId, as_json: Json = False) -> None:
    """Show a run: its stages, figures and files.

    Example: tunesmith jobs show last
    """
    from tunesmith.daemon.api.client import Client
    from tunesmith.daemon.api.view import FINISHED, JobView
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.scores import print_scores
    from tunesmith.tui.cli.session import find_run, with_client

    async def act(client: Client) -> tuple[JobView, list[JobView]]:
        view = await client.job(await find_run(client, run))
        return view, [one for one in await client.jobs() if one.of == view.id]

    view, later = with_client(act)
    if as_json:
        render.print_json(view)
        return
    render.out().print(render.job_text(view))
    if view.state == FINISHED:
        render.print_result(view)
    else:  # such as one that its gate refused
        print_scores(view, render.out())
    for one in later:
        made = ", ".join(artifact.key for artifact in one.artifacts)
        render.out().print(f"run {one.id} ({one.task}, {one.state}) is of this run" + (f": {made}" if made else ""))


@app.command()
def follow(run: RunId, as_json: Json = False) -> None:
    """Follow a run to its end.

    Exit code 0 only when it finished; ctrl-c leaves, the run goes on.

    Example: tunesmith jobs follow 3
    """
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.session import find_run, wait_for, with_client

    view = wait_for(with_client(lambda client: find_run(client, run)))
    if as_json:
        render.print_json(render.result(view))
    else:
        render.print_result(view)


@app.command()
def logs(
    run: RunId,
    tail: Annotated[int, typer.Option("--tail", min=1, help="How many of the last lines.")] = 200,
    as_json: Json = False,
) -> None:
    """Show what the libraries printed during a run.

    Example: tunesmith jobs logs last --tail 50
    """
    from tunesmith.daemon.api.client import Client
    from tunesmith.daemon.api.requests import LogText
    from tunesmith.tui.cli import render
    from tunesmith.tui.cli.session import find_run, with_client

    async def act(client: Client) -> LogText:
        return await client.log(await find_run(client, run), tail)

    log = with_client(act)
    if as_json:
        render.print_json(log)
    else:
        render.err().print(log.path)
        render.print_plain(log.text.rstrip("\n"))
