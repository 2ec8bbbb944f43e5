"""What a person may ask of a job that is there: cancel, resume, pause, stop and keep, move, clean, remove."""

from __future__ import annotations

from starlette.responses import Response

from tunesmith.daemon.api.requests import Done, Move, Resume
from tunesmith.daemon.api.retention import Clean
from tunesmith.daemon.server.endpoint import Call
from tunesmith.daemon.server.guard import reply


async def cancel(call: Call) -> Response:
    """Cancel a job: at once while it waits or rests, through its worker while it runs. Twice is as good as once."""
    await call.parts.controls.cancel(call.job_id)
    return await _view(call)


async def resume(call: Call) -> Response:
    """Queue a paused, interrupted, failed or cancelled job for another attempt, from its last checkpoint on."""
    asked: Resume = call.body
    await call.parts.controls.resume(call.job_id, asked.force)
    return await _view(call)


async def pause(call: Call) -> Response:
    """Pause a job: at once while it waits; one that runs saves a checkpoint and leaves, until it is resumed."""
    await call.parts.controls.pause(call.job_id)
    return await _view(call)


async def finish(call: Call) -> Response:
    """Stop and keep: training ends after the step that runs, and what was learned is evaluated and exported."""
    await call.parts.controls.finish(call.job_id)
    return await _view(call)


async def move(call: Call) -> Response:
    """Move a job that waits to right before another one that waits, or to the front of the queue."""
    asked: Move = call.body
    await call.parts.controls.move(call.job_id, asked.before)
    return await _view(call)


async def sizes(call: Call) -> Response:
    """What every job takes on the disk, by kind, newest first."""
    return reply(await call.parts.retention.sizes())


async def clean(call: Call) -> Response:
    """Remove files of jobs that have ended, or say what would be removed: nothing is unless `dry_run` is false."""
    asked: Clean = call.body
    return reply(await call.parts.retention.clean(asked))


async def remove(call: Call) -> Response:
    """Remove a job that has ended, with all its files. Its number and its key are not used again."""
    await call.parts.controls.remove(call.job_id)
    return reply(Done())


async def _view(call: Call) -> Response:
    return reply(await call.parts.store.view(call.job_id))
