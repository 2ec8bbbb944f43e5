"""What a person serves: models under their names, adapters beside the model that they lie on."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.requests import Serve
from tunesmith.daemon.serving import subjects
from tunesmith.daemon.serving.engines import Engines, How
from tunesmith.daemon.serving.lines import Ready
from tunesmith.daemon.serving.subjects import Subject
from tunesmith.daemon.store import Store
from tunesmith.recipes.errors import ModelError, nearest

MOST = 32  # names
ADAPTERS = 16  # beside one model


class Served:
    """`subjects` are those a person named; `find` also knows every run that has a model."""

    def __init__(self, home: Home, store: Store, engines: Engines) -> None:
        self._home, self._store, self._engines = home, store, engines
        self.subjects: dict[str, Subject] = {}

    async def add(self, asked: Serve, hub: str) -> Ready:
        """Load a model and give it its name. Raises TunesmithError when it cannot be."""
        subject = subjects.find(self._home, asked.model, hub, self._store.related)
        name = asked.name or subject.name
        subject = msgspec.structs.replace(subject, name=name)
        new = {name: subject}
        for key, path in asked.adapters.items():
            subjects.there(path, "adapter")
            new[key] = msgspec.structs.replace(subject, name=key, adapter=path)
        if len(self.subjects | new) > MOST or len(new) > ADAPTERS + 1:
            raise ModelError(f"At most {MOST} names are served", "Stop some: tunesmith serve --stop", "too_many_models")
        how = How(asked.context, asked.slots, asked.idle_s, asked.engine, tuple(sorted(asked.adapters.values())))
        if not self._engines.held_as(subject.path, how):
            await self._engines.unload(subject.path)
        ready = await self._engines.load_as(subject, how)
        self.subjects |= new
        return ready

    async def clear(self) -> None:
        """Nothing is served any more; what was loaded for it is unloaded."""
        for path in {subject.path for subject in self.subjects.values()}:
            self._engines.how.pop(path, None)
            await self._engines.unload(path)
        self.subjects = {}

    def listed(self, only_served: bool) -> Iterator[Subject]:
        yield from self.subjects.values()
        if not only_served:
            runs = subjects.of_runs(self._home, (self._store.related(view.id) for view in self._store.jobs()))
            yield from (subject for subject in runs if subject.name not in self.subjects)

    def find(self, name: str, only_served: bool) -> Subject:
        """Raises ModelError (code model_not_found), JobError (code no_model)."""
        if (found := self.subjects.get(name)) is not None:
            return found
        if not only_served and (run := subjects.RUN.fullmatch(name)) is not None:
            return subjects.of_run(self._home, self._store.related(int(run[1])), run[2] or "")
        known = [subject.name for subject in self.listed(only_served)]
        hint = nearest(name, known) if known else "Serve one: tunesmith serve last"
        raise ModelError(f"There is no model '{name[:100]}'", hint, "model_not_found")
