"""What the screens beside the rail show, made up: caches of models, a daemon, where everything lies."""

from __future__ import annotations

from pathlib import Path

from tunesmith.daemon.api import places
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.model_store import Incomplete, Kept, KeptFile, Partial, Snapshot
from tunesmith.daemon.api.places import Place
from tunesmith.daemon.api.requests import DaemonStatus
from tunesmith.tui.models_here import Here

HOME = Path("/home/ada/.local/share/tunesmith")
DAY = 1_763_700_000.0
MB = 1_000_000


def snapshot(
    hub: str, name: str, megabytes: int, revision: str = "5f1c8e2a90b7d3c4", *, origin: str = "", whole: bool = True
) -> Snapshot:
    """`whole=False`: its record cannot be read."""
    files = (KeptFile("model.safetensors", megabytes * MB, "9f2c" * 16),) if whole else ()
    kept = Kept(
        hub=hub, repository=name, revision=revision, branch="main" if hub != "local" else "", fetched=DAY,
        origin=origin, unpacked=origin.endswith(".gguf"), files=files,
    )  # fmt: skip
    return Snapshot(HOME / "models/snapshots" / hub / name / revision, kept)


def incomplete(name: str, megabytes: int, there: int, hub: str = "huggingface") -> Incomplete:
    partial = Partial(hub=hub, repository=name, revision="a1b2c3d4e5", bytes=megabytes * MB, there=there * MB)
    return Incomplete(HOME / "models/partial" / hub / name / "a1b2c3d4e5", partial)


def here(*snapshots: Snapshot, begun: tuple[Incomplete, ...] = (), runs: dict[int, list[int]] | None = None) -> Here:
    """`runs` by the number of the snapshot."""
    users = {snapshots[number].folder: using for number, using in (runs or {}).items()}
    total = sum(one.kept.bytes for one in snapshots) + sum(one.partial.there for one in begun)
    return Here(list(snapshots), list(begun), users, None, total)


EMPTY = here()
SEVERAL = here(
    snapshot("modelscope", "Qwen/Qwen2.5-0.5B-Instruct", 988),
    snapshot("huggingface", "HuggingFaceTB/SmolLM2-360M-Instruct", 724, "a10cc1512eabd3dd"),
    snapshot("local", "my-tuned-model", 2471, "77aa12", origin="/home/ada/Downloads/model-Q8_0.gguf"),
    snapshot("modelscope", "Qwen/Qwen3-0.6B", 1503, "c1899de289a04d12"),
    begun=(incomplete("mistralai/Mistral-7B-Instruct-v0.3", 14_496, 9_132),),
    runs={0: [3, 5, 8, 9], 3: [12]},
)

STATUS = DaemonStatus(
    pid=4242, socket=str(HOME / "run/daemon.sock"), version="0.1.0", api_version=1, uptime_s=7384.0,
    jobs={"finished": 12, "running": 1, "queued": 2}, home=str(HOME), connections=3, streams=1,
)  # fmt: skip

PLACES = (*places.places(Home(HOME))[:-1], Place("program", "/home/ada/.local/venv"))
COUNTED = tuple(
    Place(one.key, one.path, size or None)
    for one, size in zip(
        PLACES,
        (14_820_000_000, 181, 12_300_000_000, 0, 2_400_000_000, 91_000_000, 64_000, 0, 5_100_000_000),
        strict=True,
    )
)
