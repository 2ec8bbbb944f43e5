"""Data sets at Hugging Face, by its own client library huggingface_hub (0.2 s and no engine to import)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tunesmith.daemon.hubs import Hub, HubFile, Listing, refusals
from tunesmith.recipes.errors import DataError

TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 20  # what an interruption may lose and how often progress is told; the library's 10 MiB are too many


def listing(repository: str) -> Listing:
    from huggingface_hub import HfApi

    with told(repository):
        found = HfApi().dataset_info(repository, files_metadata=True, timeout=TIMEOUT_S)
    files = [
        HubFile(sibling.rfilename, sibling.size or 0, sibling.lfs.sha256)
        if sibling.lfs is not None
        else HubFile(sibling.rfilename, sibling.size or 0, git_sha1=sibling.blob_id or "")
        for sibling in found.siblings or ()
    ]
    return Listing(found.sha or "main", tuple(files))


def fetch(
    repository: str, revision: str, files: Sequence[HubFile], folder: Path, received: Callable[[int], None]
) -> None:
    """One after the other, over plain HTTP, which every file is served by too.

    Not by the library's snapshot_download: it begins a file anew after an interruption, and so does Xet.
    """
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    headers = build_hf_headers() | {"Accept-Encoding": "identity"}  # ranges of packed bytes could not be joined
    for file in files:
        target = folder / file.path
        if target.exists():
            received(file.bytes)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        # The digest is in the name: bytes of an older revision are never gone on from.
        incomplete = target.with_name(f"{target.name}.{(file.sha256 or file.git_sha1)[:12]}.incomplete")
        url = hf_hub_url(repository, file.path, repo_type="dataset", revision=revision)
        try:
            with incomplete.open("ab") as part, told(repository, file.path):
                fetch_rest(url, part, file.bytes, headers, received)
        except DataError:  # what arrived is not the file, so there is nothing to go on from
            incomplete.unlink()
            raise
        incomplete.rename(target)


def fetch_rest(
    url: str, part: BinaryIO, size: int, headers: Mapping[str, str], received: Callable[[int], None]
) -> None:
    """Append to `part` what it lacks of `size` bytes; goes on after a broken connection while anything arrives."""
    import httpx2
    from huggingface_hub.file_download import http_get

    if part.tell() > size:
        part.truncate(0)
    received(part.tell())
    while True:
        before = part.tell()
        try:
            http_get(
                url, part, resume_size=before, headers=dict(headers), expected_size=size, tqdm_class=counter(received)
            )
            return
        except httpx2.TransportError:
            if part.tell() == before:
                raise


def counter(received: Callable[[int], None]) -> type[Any]:
    """The library counts bytes with a class it makes a bar of; this one only passes the counts on."""

    class Counter:
        def __init__(self, **_: object) -> None:
            pass

        def __enter__(self) -> Counter:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, count: int) -> None:
            received(count)

    return Counter


@contextmanager
def told(repository: str, path: str = "", hub: Hub | None = None) -> Iterator[None]:
    """The library's errors as ours; `hub` is what they call it, with the page that they name."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    hub = hub or CARD
    try:
        yield
    except HfHubHTTPError as error:
        said = refusals.one_line(error.server_message or "")
        raise refusals.by_status(hub, repository, error.response.status_code, said) from error
    except OfflineModeIsEnabled as error:
        raise refusals.offline(hub, "HF_HUB_OFFLINE is set") from error
    except httpx2.HTTPError as error:
        raise refusals.offline(hub, error) from error
    except HFValidationError as error:
        raise refusals.by_status(hub, repository, 404) from error
    except ValueError as error:  # a page where JSON should be: what a network shows before it lets one in
        raise refusals.offline(hub, "something else than the hub answered") from error
    except OSError as error:
        if error.errno is not None:  # the disk's own; the library raises a bare OSError for a wrong size
            raise
        raise refusals.corrupt(hub, path, str(error)) from error


CARD = Hub(
    key="huggingface",
    title="Hugging Face",
    page="https://huggingface.co/datasets/{id}",
    token_variable="HF_TOKEN",
    endpoint_variable="HF_ENDPOINT",
    listing=listing,
    fetch=fetch,
)
