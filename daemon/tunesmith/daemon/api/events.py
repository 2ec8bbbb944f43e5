"""Everything that can happen to a job, as frozen structs; state elsewhere is a fold over these."""

from __future__ import annotations

import msgspec

from tunesmith.daemon.api.outcomes import Answered as Answered
from tunesmith.daemon.api.outcomes import ArtifactWritten as ArtifactWritten
from tunesmith.daemon.api.outcomes import Benchmarked as Benchmarked
from tunesmith.daemon.api.outcomes import Measured as Measured
from tunesmith.daemon.api.outcomes import PartFigure as PartFigure
from tunesmith.daemon.api.outcomes import RowScore as RowScore
from tunesmith.daemon.api.outcomes import Sampled as Sampled
from tunesmith.daemon.api.outcomes import Scored as Scored
from tunesmith.daemon.api.outcomes import Verified as Verified
from tunesmith.daemon.api.told import Told
from tunesmith.recipes.planner.forecast import Forecast
from tunesmith.recipes.planner.shrink import Change
from tunesmith.recipes.spec import STAGES_OF, TRAIN
from tunesmith.recipes.words import Said

STAGES = STAGES_OF[TRAIN]  # all that most jobs have


class Queued(Told, frozen=True, kw_only=True, tag="queued"):
    """It waits for its turn: submitted, or once more; `automatic` where the daemon itself queued it again.

    The first one says the recipe's `task`, `of` which job's artifacts it begins with, and `beside` of which others it
    takes some, and the `stages` that it goes through (empty in older histories: those of its task).
    """

    automatic: bool = False
    task: str = TRAIN
    of: int | None = None
    beside: tuple[int, ...] = ()
    stages: tuple[str, ...] = ()


class Started(Told, frozen=True, kw_only=True, tag="started"):
    """A worker process has the job; `attempt` is the fencing token, rising with every worker."""

    attempt: int
    pid: int


class Adopted(Told, frozen=True, kw_only=True, tag="adopted"):
    """A restarted daemon found the worker alive and follows it again."""

    pid: int


class StageStarted(Told, frozen=True, kw_only=True, tag="stage_started"):
    stage: str


class StageProgress(Told, frozen=True, kw_only=True, tag="stage_progress"):
    """`done` of `total` in `unit` (bytes, rows, steps, tokens, files); `eta_s` None while unknown.

    `note_said` is what `note` means, here as in other events: None where there is no more to it than the text.
    """

    stage: str
    done: float
    total: float
    unit: str
    eta_s: float | None = None
    note: str = ""
    note_said: Said | None = None


class StageFinished(Told, frozen=True, kw_only=True, tag="stage_finished"):
    """`peak_bytes` is the most memory that was resident meanwhile; 0 where the system does not tell, and in older
    journals.
    """

    stage: str
    seconds: float
    peak_bytes: int = 0


class BaseChosen(Told, frozen=True, kw_only=True, tag="base_chosen"):
    """The very model that is trained: `source` as a recipe would say it, with its revision, and where it lies."""

    source: str
    folder: str
    bytes: int = 0


class TrainStep(Told, frozen=True, kw_only=True, tag="train_step"):
    """One optimizer step. Tokens count without padding; `memory_bytes` is resident (CPU) or allocated (GPU).

    `padding_share` is the share of computed positions that were padding, `flops_per_second` the useful matrix work,
    `limit_share` its share of this machine's measured matrix-product limit, `token_accuracy` that of the labelled
    tokens (teacher forced); None where it was not measured.
    """

    step: int
    total_steps: int
    epoch: float
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    memory_bytes: int
    eta_s: float
    padding_share: float = 0.0
    flops_per_second: float = 0.0
    limit_share: float | None = None
    token_accuracy: float | None = None


class PathTaken(msgspec.Struct, frozen=True):
    """How one `part` of the training step (attention, packing, loss, lora ...) is computed: `taken`, and why.

    `fastest` is False where a faster path exists and something here prevents it.
    """

    part: str
    taken: str
    why: str
    fastest: bool = True
    taken_said: Said | None = None
    why_said: Said | None = None


class PathsChosen(Told, frozen=True, kw_only=True, tag="paths_chosen"):
    paths: tuple[PathTaken, ...]


class LimitMeasured(Told, frozen=True, kw_only=True, tag="limit_measured"):
    """The rate of large matrix products on this machine, now, in the dtype that trains."""

    device: str
    dtype: str
    flops_per_second: float


class MemoryMeasured(Told, frozen=True, kw_only=True, tag="memory_measured"):
    """Bytes by component at a step; `activations` are what backward keeps of one window, `other` all that remains.

    `peak` is of the whole process (CPU) or of the allocator (GPU).
    """

    step: int
    weights: int
    adapter: int
    gradients: int
    optimizer: int
    activations: int
    other: int
    peak: int


class CheckpointSaved(Told, frozen=True, kw_only=True, tag="checkpoint_saved"):
    """A run can be resumed exactly from here; `path` is relative to the job's folder."""

    step: int
    path: str
    bytes: int
    seconds: float


class Resumed(Told, frozen=True, kw_only=True, tag="resumed"):
    """This attempt goes on after `step` of an earlier one.

    `exact`: the result will be, to the bit, that of a run that was never stopped; else `reasons` say why not.
    """

    step: int
    attempt: int
    exact: bool = True
    reasons: tuple[str, ...] = ()
    reasons_said: tuple[Said, ...] = ()


class StoppedEarly(Told, frozen=True, kw_only=True, tag="stopped_early"):
    """A person ended training after `step` of `total_steps`; what was learned until then is evaluated and exported."""

    step: int
    total_steps: int


class DataChecked(Told, frozen=True, kw_only=True, tag="data_checked"):
    """Every row of a file accounted for: rows_read == rows_kept + rows_rejected, always."""

    file: str
    rows_read: int
    rows_kept: int
    rows_rejected: int
    tokens: int = 0
    trained_tokens: int = 0
    longest: int = 0
    rejected: tuple[str, ...] = ()
    rejected_said: tuple[Said, ...] = ()


class Forecasted(Told, frozen=True, kw_only=True, tag="forecasted"):
    """What the run needs, as far as is known now: each one replaces the one before it."""

    forecast: Forecast


class Waiting(Told, frozen=True, kw_only=True, tag="waiting"):
    """The job is not started yet: `needed` bytes of `what` (device, host, disk), of which `free` are there."""

    what: str
    needed: int
    free: int


class Shrunk(Told, frozen=True, kw_only=True, tag="shrunk"):
    """After memory ran out automatic values were made smaller, once; `changes` says which."""

    changes: tuple[Change, ...]


class Gauged(Told, frozen=True, kw_only=True, tag="gauged"):
    """How the machine does while a job runs: on its stream and in its view, no part of its history.

    Shares are 0 to 1; None where nobody says. `device_` is of the GPU that trains.
    """

    cpu_share: float
    memory_used_bytes: int
    memory_bytes: int
    worker_bytes: int = 0
    device_share: float | None = None
    device_used_bytes: int | None = None
    device_bytes: int | None = None
    temperature_c: int | None = None
    power_watts: float | None = None


class Gap(Told, frozen=True, kw_only=True, tag="gap", rename={"first": "from", "last": "to"}):
    """The stream leaves out the events `from` to `to`: its reader was too slow. No part of the history either."""

    first: int
    last: int


class Notice(Told, frozen=True, kw_only=True, tag="notice"):
    """A sentence for the person: level info, warning or error.

    `text` is English; `code` and `values` are what it was made of, for who says it in another language.
    """

    level: str
    text: str
    code: str = ""
    values: dict[str, str | int | Said | tuple[Said, ...]] = msgspec.field(default_factory=dict)


class Moved(Told, frozen=True, kw_only=True, tag="moved"):
    """A person moved the job in the queue: lower places start first, and a job's place is its number until then."""

    place: float


class Cleaned(Told, frozen=True, kw_only=True, tag="cleaned"):
    """A person had files of a job that has ended removed: its work folders, checkpoints, journals or artifacts."""

    part: str


class Stalled(Told, frozen=True, kw_only=True, tag="stalled"):
    """The worker's process is there and has given no sign of life for `silent_s` seconds; `stopped` by a signal."""

    silent_s: float
    stopped: bool = False


class Woke(Told, frozen=True, kw_only=True, tag="woke"):
    """A worker that had stalled gives signs of life again."""


class PauseRequested(Told, frozen=True, kw_only=True, tag="pause_requested"):
    pass


class FinishRequested(Told, frozen=True, kw_only=True, tag="finish_requested"):
    """Stop and keep: training ends after this step, what was learned is evaluated and exported."""


class CancelRequested(Told, frozen=True, kw_only=True, tag="cancel_requested"):
    pass


class Finished(Told, frozen=True, kw_only=True, tag="finished"):
    seconds: float


class Failed(Told, frozen=True, kw_only=True, tag="failed"):
    """The worker refused (typed error), or died without a word (code 'worker_died')."""

    code: str
    message: str
    hint: str = ""
    stage: str = ""


class Cancelled(Told, frozen=True, kw_only=True, tag="cancelled"):
    pass


class Paused(Told, frozen=True, kw_only=True, tag="paused"):
    """It has left the queue and its worker has ended, until a person resumes it."""


class Interrupted(Told, frozen=True, kw_only=True, tag="interrupted"):
    """The worker ended without a last word and not of its own doing.

    `reason` is reboot, worker_gone (while no daemon watched), never_began, terminated (told to end by a signal that was
    not ours) or restored (its row was lost, its folder was not).
    """

    reason: str
    message: str
    hint: str = ""
    stage: str = ""


Event = (
    Queued | Started | Adopted | StageStarted | StageProgress | StageFinished | BaseChosen | TrainStep | PathsChosen
    | LimitMeasured | MemoryMeasured | CheckpointSaved | Resumed | StoppedEarly | DataChecked | Scored
    | Answered | Measured | Benchmarked | Sampled | ArtifactWritten | Verified
    | Forecasted | Waiting | Shrunk | Gauged | Gap | Notice | Moved | Cleaned | Stalled | Woke
    | PauseRequested | FinishRequested | CancelRequested | Finished | Failed | Cancelled | Paused | Interrupted
)  # fmt: skip
TERMINAL = (Finished, Failed, Cancelled)
RESTING = (*TERMINAL, Paused, Interrupted)  # after these no worker has the job, and none will until it is queued again


class Numbered(msgspec.Struct, frozen=True):
    """An event with its number in the job's history: strictly increasing, without gaps."""

    number: int
    event: Event


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """One JSON line without the line end."""
    return _encoder.encode(event)


def decode(line: bytes | str) -> Event:
    """Raises msgspec.DecodeError or ValidationError on a line that is no event."""
    return _decoder.decode(line)
