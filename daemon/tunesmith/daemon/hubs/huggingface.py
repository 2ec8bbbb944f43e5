"""Models and data sets at Hugging Face, by its own client library huggingface_hub (0.2 s and no engine to import)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tunesmith.daemon.hubs import Hub, HubFile, Kind, Listing, of_kind, refusals

TIMEOUT_S = 30.0


def listing(repository: str, kind: Kind = "dataset", revision: str = "") -> Listing:
    from huggingface_hub import HfApi

    with told(repository, of_kind(CARD, kind)):
        api = HfApi()
        ask = api.model_info if kind == "model" else api.dataset_info
        found = ask(repository, revision=revision or None, files_metadata=True, timeout=TIMEOUT_S)
    files = [
        HubFile(sibling.rfilename, sibling.size or 0, sibling.lfs.sha256)
        if sibling.lfs is not None
        else HubFile(sibling.rfilename, sibling.size or 0, git_sha1=sibling.blob_id or "")
        for sibling in found.siblings or ()
    ]
    return Listing(found.sha or revision or "main", tuple(files))


def address(repository: str, kind: Kind, revision: str, path: str) -> str:
    """Of plain HTTP, which every file is served by; what lies in Xet storage is reached by a redirect from here."""
    from huggingface_hub import hf_hub_url

    with told(repository, of_kind(CARD, kind)):
        return hf_hub_url(repository, path, repo_type=kind, revision=revision)


def headers() -> Mapping[str, str]:
    """With the token of HF_TOKEN or of the file that `hf auth login` writes."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    if constants.HF_HUB_OFFLINE:
        raise refusals.offline(CARD, "HF_HUB_OFFLINE is set")
    return dict(build_hf_headers(library_name="tunesmith"))


@contextmanager
def told(repository: str, hub: Hub | None = None) -> Iterator[None]:
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
        raise refusals.corrupt(hub, repository, str(error)) from error


CARD = Hub(
    key="huggingface",
    title="Hugging Face",
    page="https://huggingface.co/datasets/{id}",
    model_page="https://huggingface.co/{id}",
    token_variable="HF_TOKEN",
    endpoint_variable="HF_ENDPOINT",
    listing=listing,
    address=address,
    headers=headers,
)
