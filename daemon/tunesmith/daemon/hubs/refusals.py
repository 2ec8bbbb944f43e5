"""What to tell a person when a hub gives nothing, the same words for every hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunesmith.recipes.errors import DataError, MachineError, TunesmithError

if TYPE_CHECKING:
    from tunesmith.daemon.hubs import Hub


def by_status(hub: Hub, repository: str, status: int, said: str = "") -> TunesmithError:
    """The refusal that HTTP `status` means; `said` are the hub's own words."""
    page = hub.page.format(id=repository)
    what = f"{hub.title} answered {status} for {repository}"
    match status:
        case 401:
            # Hubs answer 401 for what does not exist too, so as not to tell which private names do.
            return DataError(
                f"{what}: it does not exist, or needs a login",
                f"See {page}. If it is there, create a token on your account's page and set {hub.token_variable}.",
                "not_allowed",
            )
        case 403:
            return DataError(
                f"{what}: you may not read it",
                f"Accept its terms at {page} if it has any, then set {hub.token_variable} to a token of that account.",
                "not_allowed",
            )
        case 404 | 410:
            return DataError(
                f"{what}: it is not there (any more)", f"See {page}; try the other hub with --hub.", "not_found"
            )
        case 429:
            return MachineError(
                f"{what}: too many requests", f"Wait a few minutes, or set {hub.token_variable}.", "busy"
            )
    return MachineError(f"{what}{': ' + said if said else ''}", "Try again later; what arrived is kept.", "hub_failed")


def offline(hub: Hub, reason: str | BaseException) -> TunesmithError:
    words = reason if isinstance(reason, str) else root_cause(reason)
    return MachineError(
        f"{hub.title} cannot be reached: {one_line(words)}",
        f"Check the network, or set {hub.endpoint_variable} to a mirror. Run the same command again to go on where it "
        "stopped. A folder copied from another machine works too: `tunesmith data check FOLDER`.",
        "offline",
    )


def corrupt(hub: Hub, path: str, reason: str) -> DataError:
    return DataError(
        f"{path} did not arrive as {hub.title} lists it: {one_line(reason)}",
        "It was thrown away; run the same command again. If that repeats, the hub's copy is damaged: try --hub.",
        "corrupt",
    )


def changed(hub: Hub, path: str, reason: str) -> DataError:
    return DataError(
        f"{path} was changed at {hub.title} while it was fetched: {one_line(reason)}",
        "Run the same command again: it asks what there is now, and keeps what arrived if that is still right.",
        "changed",
    )


def silent(hub: Hub, path: str, reason: str, waited_s: float) -> TunesmithError:
    return MachineError(
        f"{hub.title} sent nothing more of {path} for {waited_s:.0f} s: {one_line(reason)}",
        "What arrived is kept: run the same command again later to go on from there.",
        "hub_failed",
    )


def overrun(hub: Hub, path: str, pause_s: float) -> TunesmithError:
    return MachineError(
        f"{hub.title} has had too many requests and asks to wait {pause_s:.0f} s (for {path})",
        f"What arrived is kept: run the same command again after that, or set {hub.token_variable} for a larger share.",
        "busy",
    )


def unsafe_redirect(hub: Hub, path: str, where: str) -> DataError:
    return DataError(
        f"{hub.title} sends on for {path} to {one_line(where, 80)}, which is not encrypted or no web address",
        f"Nothing was fetched from there. Check {hub.endpoint_variable}; a network in between may do this.",
        "unsafe_redirect",
    )


def unsafe_path(repository: str, path: str) -> DataError:
    return DataError(
        f"{repository} lists the file {path!r}, outside of its folder or under a name that cannot be",
        "Nothing was fetched. Do not use this repository; tell the hub about it.",
        "unsafe_path",
    )


def root_cause(error: BaseException) -> str:
    """What the system said (connection refused, name not known), under all that libraries wrap around it."""
    words = str(error) or type(error).__name__
    below: BaseException | None = error
    while below is not None:
        if isinstance(below, OSError) and below.strerror:
            words = below.strerror
        below = below.__cause__ or below.__context__
    return words


def one_line(text: str, limit: int = 200) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
