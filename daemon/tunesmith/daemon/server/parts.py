"""What the endpoints work with: the daemon's own parts, hung on the Starlette application."""

from __future__ import annotations

import asyncio
import dataclasses

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.controls import Controls
from tunesmith.daemon.gauges import Gauges
from tunesmith.daemon.restart import Restart
from tunesmith.daemon.retention import Retention
from tunesmith.daemon.scheduler import Scheduler
from tunesmith.daemon.server.broadcast import Streams
from tunesmith.daemon.server.tcp import Tcp
from tunesmith.daemon.serving.engines import Engines
from tunesmith.daemon.serving.served import Served
from tunesmith.daemon.settings import Settings
from tunesmith.daemon.store import Store


@dataclasses.dataclass(frozen=True)
class Parts:
    """`started` is on the monotonic clock; `stopping`, once set, ends the daemon and every stream."""

    home: Home
    settings: Settings
    store: Store
    scheduler: Scheduler
    controls: Controls
    restart: Restart
    retention: Retention
    gauges: Gauges
    engines: Engines
    served: Served
    tcp: Tcp
    streams: Streams
    stopping: asyncio.Event
    started: float

    def stop(self) -> None:
        """The socket goes first: whoever looks for a daemon from now on shall not find the one that ends."""
        self.home.socket.unlink(missing_ok=True)
        self.stopping.set()
