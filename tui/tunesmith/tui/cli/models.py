"""`tunesmith models`: find models at the hubs, fetch them into the shared cache, see and tidy what lies there."""

from __future__ import annotations

from typing import Annotated

import typer

from tunesmith.tui.cli import completing
from tunesmith.tui.cli.options import Json, Offline, go_offline

HubOption = Annotated[str, typer.Option("--hub", help="modelscope or huggingface; else TUNESMITH_HUB, else both.")]
Revision = Annotated[str, typer.Option("--revision", help="Branch, tag or commit; else the newest.")]
Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="owner/name, hub:owner/name@revision, a catalogue's name.",
        autocompletion=completing.models,
    ),
]

app = typer.Typer(help="Find, fetch and keep models.", epilog="Example: tunesmith models list", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Find, fetch and keep models."""


@app.command()
def search(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Words of its name.")],
    hub: HubOption = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="How many at most.")] = 20,
    offline: Offline = False,
    as_json: Json = False,
) -> None:
    """Search a hub for models, the most downloaded first; those of the catalogue are known to train.

    Example: tunesmith models search qwen2.5 --hub modelscope
    """
    from tunesmith.daemon.api import models
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui.cli import download_progress, models_text, render

    go_offline(offline)
    found = download_progress.run(models.search(Home.find(), text, hub, limit), models.Found, text)
    if as_json:
        render.print_json({"models": found.results})
    else:
        render.out().print(models_text.found(found.results))


@app.command()
def pull(
    model: Model, hub: HubOption = "", revision: Revision = "", offline: Offline = False, as_json: Json = False
) -> None:
    """Fetch a model into the cache, verified; an interrupted download goes on where it stopped.

    Only what training needs: safetensors, tokenizer, configuration, license; never pickles, never code. What the hubs'
    own libraries have here already is used. HF_TOKEN and MODELSCOPE_API_TOKEN, or their own logins, open gated models;
    HF_ENDPOINT and MODELSCOPE_ENDPOINT set a mirror.

    Example: tunesmith models pull Qwen/Qwen2.5-0.5B-Instruct
    """
    from rich.text import Text

    from tunesmith.daemon.api import models
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.units import bytes_text
    from tunesmith.tui.cli import download_progress, render

    go_offline(offline)
    done = download_progress.run(models.pull(Home.find(), model, hub, revision), models.Pulled, model)
    if as_json:
        from tunesmith.tui.cli import models_text

        render.print_json(models_text.pulled(done))
        return
    came = f"{bytes_text(done.fetched)} fetched" if done.fetched else "all of it was here already"
    render.err().print(f"{done.model.source}: {bytes_text(done.model.bytes)}, {came}")
    print(done.folder)
    render.out().print(Text(f"\nnext:  tunesmith plan --model {model} --data FILE --write recipe.yaml"), soft_wrap=True)


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List the models on this machine: sizes, the runs that use them, and downloads that are not complete.

    Example: tunesmith models list --json
    """
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui import models_here
    from tunesmith.tui.cli import models_text, render

    here = models_here.look(Home.find())
    if as_json:
        render.print_json(models_text.listing(here))
        return
    console = render.out()
    console.print(models_text.table(here))
    for text in models_text.notes(here):
        console.print(text)


@app.command()
def show(
    model: Model, hub: HubOption = "", revision: Revision = "", offline: Offline = False, as_json: Json = False
) -> None:
    """Show a model: license, whether it is gated, parameters, files and sizes, and how it fits this machine.

    Example: tunesmith models show qwen2.5-7b-instruct
    """
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui.cli import model_shown, models_text, render

    go_offline(offline)
    shown = model_shown.show(Home.find(), model, hub, revision)
    if as_json:
        render.print_json(models_text.card(shown))
    else:
        for text in models_text.card_lines(shown):
            render.out().print(text)


@app.command()
def remove(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="As `models list` shows them.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also while a run uses it.")] = False,
    as_json: Json = False,
) -> None:
    """Remove models from the cache; files that another model shares stay.

    A model of a run that is not over is kept, unless --force.

    Example: tunesmith models remove Qwen/Qwen2.5-0.5B-Instruct --yes
    """
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.units import bytes_text
    from tunesmith.tui import models_here
    from tunesmith.tui.cli import model_shown, render

    home = Home.find()
    chosen = models_here.chosen(home, models)
    model_shown.refuse_used(home, chosen, force=force)
    if not yes:
        model_shown.ask(chosen)
    freed = models_here.remove(home, chosen)
    if as_json:
        render.print_json({"removed": [one.name for one in chosen], "freed_bytes": freed})
    else:
        print(f"{bytes_text(freed)} freed")


@app.command()
def verify(
    models: Annotated[list[str] | None, typer.Argument(metavar="[MODEL]...", help="All of them when left out.")] = None,
    as_json: Json = False,
) -> None:
    """Hash every byte in the cache; for what is damaged, say which command mends it.

    Exit code 0 when all is whole, 1 when something is damaged.

    Example: tunesmith models verify
    """
    from tunesmith.daemon.api import models as api
    from tunesmith.daemon.api.home import Home
    from tunesmith.tui.cli import download_progress, models_text, render

    found = download_progress.run(api.verify(Home.find(), models or ()), api.Verified, "cache")
    if as_json:
        render.print_json({"models": found.models, "damaged": sum(bool(one.damaged) for one in found.models)})
    else:
        for text in models_text.checked(found.models):
            render.out().print(text, soft_wrap=True)
    if any(one.damaged for one in found.models):
        raise typer.Exit(1)


@app.command("import")
def import_model(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A model's folder, or a GGUF file.")],
    name: Annotated[str, typer.Option("--name", help="What it shall be called; else as the folder or file is.")] = "",
    as_json: Json = False,
) -> None:
    """Take a model of yours into the cache, so that recipes can name it: local:NAME.

    A folder's large files are linked where the disk allows it. A GGUF file is unpacked to float16; its weights are
    quantized ones, and what was lost in that does not come back: take the original weights where you can get them.

    Example: tunesmith models import ~/Downloads/model-Q8_0.gguf --name mine
    """
    from pathlib import Path

    from tunesmith.daemon.api import models
    from tunesmith.daemon.api.home import Home
    from tunesmith.recipes.units import bytes_text
    from tunesmith.tui.cli import download_progress, models_text, render

    where = Path(path).expanduser().absolute()
    act = models.unpack if where.suffix.lower() == ".gguf" else models.adopt
    done = download_progress.run(act(Home.find(), str(where), name), models.Pulled, where.name)
    if as_json:
        render.print_json(models_text.pulled(done))
        return
    if done.model.unpacked:
        render.err().print("note: its weights were quantized; training starts from what is left of the original ones.")
    render.err().print(f"{done.model.name}: {bytes_text(done.model.bytes)}")
    print(done.folder)
    print(f"\nnext:  tunesmith plan --model {done.model.name} --data FILE --write recipe.yaml")
