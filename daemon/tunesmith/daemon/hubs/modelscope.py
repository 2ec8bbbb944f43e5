"""Data sets at ModelScope, by its client library modelscope_hub: `modelscope` itself would load torch (238 MB)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tunesmith.daemon.hubs import Hub, HubFile, Listing, refusals
from tunesmith.recipes.errors import TunesmithError

BRANCH = "master"  # what the hub calls its main branch; its listing names no commit
FILES_AT_ONCE = 4


def listing(repository: str) -> Listing:
    from modelscope_hub import HubApi

    with told(repository):
        found = HubApi().list_repo_files(repository, "dataset", revision=BRANCH)
    files = [HubFile(file.path, file.size, (file.sha256 or "").lower()) for file in found if not file.is_dir]
    return Listing(BRANCH, tuple(files))


def fetch(
    repository: str, revision: str, files: Sequence[HubFile], folder: Path, received: Callable[[int], None]
) -> None:
    """Resumed and checked by the library: it goes on from `<file>.incomplete` and compares size and SHA-256."""
    from modelscope_hub import HubApi

    for file in files:
        if (folder / file.path).exists():
            received(file.bytes)
    with told(repository):
        HubApi().download_repo(
            repository,
            "dataset",
            revision=revision,
            local_dir=folder,
            cache_dir=folder,  # its lock files
            max_workers=FILES_AT_ONCE,
            file_list=[{"Path": file.path, "Size": file.bytes, "Sha256": file.sha256} for file in files],
            progress_callbacks=[counter(received)],
        )


def counter(received: Callable[[int], None]) -> type[Any]:
    """The library makes one of these a file and passes it counts of bytes."""

    class Counter:
        def __init__(self, filename: str, file_size: int) -> None:
            pass

        def update(self, size: int) -> None:
            received(size)

        def end(self) -> None:
            pass

    return Counter


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
        raise translated(error, repository, hub=hub) from error


def translated(error: BaseException, repository: str, path: str = "", hub: Hub | None = None) -> TunesmithError:
    from modelscope_hub.errors import APIError, FileDownloadError, FileIntegrityError

    hub = hub or CARD
    match error:
        case FileDownloadError(failed_files={**failed}) if failed:
            first_path, first = next(iter(failed.items()))
            if isinstance(first, OSError) and not isinstance(first, ConnectionError) and first.errno is not None:
                raise first  # the disk's own
            return translated(first, repository, first_path, hub)
        case FileIntegrityError():
            return refusals.corrupt(hub, path, error.message)
        case APIError(status_code=int(status)):
            return refusals.by_status(hub, repository, status, refusals.one_line(error.message))
        case _:
            return refusals.offline(hub, error)


CARD = Hub(
    key="modelscope",
    title="ModelScope",
    page="https://modelscope.cn/datasets/{id}",
    token_variable="MODELSCOPE_API_TOKEN",
    endpoint_variable="MODELSCOPE_ENDPOINT",
    listing=listing,
    fetch=fetch,
)
