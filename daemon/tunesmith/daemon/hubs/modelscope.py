"""Models and data sets at ModelScope, by its library modelscope_hub: `modelscope` itself would load torch (238 MB)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from tunesmith.daemon.hubs import Hub, HubFile, Kind, Listing, of_kind, refusals
from tunesmith.recipes.errors import TunesmithError

if TYPE_CHECKING:
    from modelscope_hub import HubApi

BRANCH = "master"  # what the hub calls its main branch; its listing names no commit


@cache
def client() -> HubApi:
    from modelscope_hub import HubApi

    return HubApi()


def listing(repository: str, kind: Kind = "dataset", revision: str = "") -> Listing:
    with told(repository, of_kind(CARD, kind)):
        found = client().list_repo_files(repository, kind, revision=revision or BRANCH)
    files = [HubFile(file.path, file.size, (file.sha256 or "").lower()) for file in found if not file.is_dir]
    return Listing(revision or BRANCH, tuple(files))


def address(repository: str, kind: Kind, revision: str, path: str) -> str:
    with told(repository, of_kind(CARD, kind)):
        return client().legacy.get_download_url(repository, kind, path, revision)


def headers() -> Mapping[str, str]:
    """With the token of MODELSCOPE_API_TOKEN or of the file that `modelscope login` writes.

    As a cookie too: the library sends both, because some of the hub's addresses only know that.
    """
    token = client().legacy.token
    login = {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"} if token else {}
    return {"User-Agent": "tunesmith", **login}


@contextmanager
def told(repository: str, hub: Hub | None = None) -> Iterator[None]:
    """The library's errors as ours; `hub` is what they call it, with the page that they name."""
    import requests
    from modelscope_hub.errors import HubError

    hub = hub or CARD
    try:
        yield
    except requests.JSONDecodeError as error:  # a page: what a network shows before it lets one in
        raise refusals.offline(hub, "something else than the hub answered") from error
    except (HubError, requests.RequestException) as error:
        raise translated(error, repository, hub) from error


def translated(error: BaseException, repository: str, hub: Hub) -> TunesmithError:
    from modelscope_hub.errors import APIError

    match error:
        case APIError(status_code=int(status)):
            return refusals.by_status(hub, repository, status, refusals.one_line(error.message))
        case _:
            return refusals.offline(hub, error)


CARD = Hub(
    key="modelscope",
    title="ModelScope",
    page="https://modelscope.cn/datasets/{id}",
    model_page="https://modelscope.cn/models/{id}",
    token_variable="MODELSCOPE_API_TOKEN",
    endpoint_variable="MODELSCOPE_ENDPOINT",
    listing=listing,
    address=address,
    headers=headers,
)
