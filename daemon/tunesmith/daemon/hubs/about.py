"""What a hub says of a model to whoever thinks of fetching it, as far as it tells without an account; and search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from tunesmith.daemon.api.models import Described, Result
from tunesmith.daemon.hubs import described, huggingface, modelscope
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.models import catalogue


def at_huggingface(id: str) -> Described:
    from huggingface_hub import HfApi

    with huggingface.told(id, hub=described.HUGGINGFACE):
        info = HfApi().model_info(id, timeout=huggingface.TIMEOUT_S)
    license = next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), "")
    counts = info.safetensors.parameters if info.safetensors is not None else {}
    return Described(
        hub="huggingface", id=id, revision=info.sha or "", page=described.HUGGINGFACE.page.format(id=id),
        license=license, gated=bool(info.gated), private=bool(info.private), downloads=info.downloads or 0,
        parameters=sum(counts.values()) or None,
    )  # fmt: skip


def at_modelscope(id: str) -> Described:
    from modelscope_hub import HubApi

    with modelscope.told(id, hub=described.MODELSCOPE):
        info = HubApi().get_repo(id, "model")
    return Described(
        hub="modelscope", id=id, revision=modelscope.BRANCH, page=described.MODELSCOPE.page.format(id=id),
        license=info.license or "", gated=bool(info.gated), private=bool(info.private), downloads=info.downloads or 0,
    )  # fmt: skip


HUBS: Mapping[str, Callable[[str], Described]] = {"huggingface": at_huggingface, "modelscope": at_modelscope}


def about(hub: str, id: str) -> Described:
    """With its config.json and number of parameters, where the hub does not withhold them. Raises TunesmithError."""
    said = HUBS[hub](id)
    try:
        files = described.HUBS[hub](id)
    except TunesmithError as error:
        if error.code not in ("not_allowed", "not_found"):
            raise
        return msgspec.structs.replace(said, withheld=error.body())
    return msgspec.structs.replace(said, config=dict(files.config), parameters=files.parameters or said.parameters)


def search_huggingface(text: str, limit: int) -> Iterator[Result]:
    from huggingface_hub import HfApi

    with huggingface.told(text, hub=described.HUGGINGFACE):
        for info in HfApi().list_models(search=text, filter="safetensors", sort="downloads", limit=limit):
            license = next((tag.removeprefix("license:") for tag in info.tags or () if tag.startswith("license:")), "")
            yield result("huggingface", info.id, info.downloads or 0, license, bool(info.gated))


def search_modelscope(text: str, limit: int) -> Iterator[Result]:
    from modelscope_hub import HubApi

    with modelscope.told(text, hub=described.MODELSCOPE):
        found = HubApi().list_repos("model", search=text, sort="downloads", page_size=limit)
    for info in found.items:
        yield result(
            "modelscope", f"{info.owner}/{info.name}", info.downloads or 0, info.license or "", bool(info.gated)
        )


def result(hub: str, id: str, downloads: int, license: str, gated: bool) -> Result:
    entry = catalogue.named().get(id.lower())
    return Result(hub=hub, id=id, downloads=downloads, license=license, gated=gated, key=entry.key if entry else "")


SEARCH: Mapping[str, Callable[[str, int], Iterator[Result]]] = {
    "huggingface": search_huggingface, "modelscope": search_modelscope,
}  # fmt: skip
