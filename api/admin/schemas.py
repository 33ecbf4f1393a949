"""What the operator's routes take and answer."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.schemas import Parameters, Time
from jobs.key_limits import KeyLimits
from jobs.keys import DEFAULT_OVERLAP, MAX_NAME
from jobs.requests import ModelName
from jobs.states import Status

MAX_OVERLAP = timedelta(days=30)
MODEL = "llama3.1:8b"


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(json_schema_extra={"example": values})


class ActiveModelBody(BaseModel):
    """The model for requests that name none; null: the default again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"model": MODEL}})

    model: ModelName | None = Field(description="Null: PADDOCK_MODEL, else a loaded or the smallest model.")


class ActiveModelAnswer(BaseModel):
    model_config = ConfigDict(
        title="ActiveModel", json_schema_extra={"example": {"model": MODEL, "resolved": MODEL}}
    )

    model: str | None = Field(description="What an operator activated; null: nothing.")
    resolved: str | None = Field(description="What a request that names no model gets now; null: an error.")


class DistributionAnswer(BaseModel):
    """Seconds; null where there are none."""

    model_config = ConfigDict(title="Distribution", json_schema_extra={"example": {"mean": 1.2, "p95": 4.8}})

    mean: float | None
    p95: float | None


class FiguresAnswer(BaseModel):
    """Of the jobs that ended in the window."""

    model_config = ConfigDict(title="Figures")

    total: int
    by_status: dict[Status, int]
    success_rate: float | None = Field(description="Completed among all but the cancelled, 0 to 1.")
    queue_seconds: DistributionAnswer = Field(description="From submission to the start of the last run.")
    processing_seconds: DistributionAnswer = Field(description="The run of completed jobs.")
    tokens_per_second: float | None = Field(description="Mean over completed jobs.")


class ModelFigures(FiguresAnswer):
    model_config = ConfigDict(title="ModelFigures")

    model: str


class WindowAnswer(BaseModel):
    model_config = ConfigDict(title="Window")

    seconds: float
    overall: FiguresAnswer
    by_model: list[ModelFigures] = Field(description="The busiest first, 50 at most.")


class StatisticsAnswer(BaseModel):
    model_config = ConfigDict(title="Statistics")

    totals: dict[Status, int] = Field(description="All jobs that are kept, by status.")
    last_hour: WindowAnswer
    last_day: WindowAnswer


class WorkerModel(BaseModel):
    name: str
    size_bytes: int
    is_loaded: bool


class WorkerOllama(BaseModel):
    url: str
    is_healthy: bool
    version: str | None
    is_simulated: bool


class WorkerJob(BaseModel):
    job_id: str
    model: str
    started_at: Time


class WorkerAnswer(BaseModel):
    """A worker that reported within the last five seconds."""

    model_config = ConfigDict(title="Worker")

    name: str
    host: str
    concurrency: int = Field(description="Jobs at once, all models together.")
    ollama: WorkerOllama
    models: list[WorkerModel]
    reported_seconds_ago: float
    running: list[WorkerJob]


class WorkerList(BaseModel):
    workers: list[WorkerAnswer]
    lost: list[WorkerJob] = Field(description="Running jobs of workers that don't report, until taken back.")


class KeyPath(Parameters):
    key_id: str = Field(description="The key's id, as the list names it.")


class CreateKey(KeyLimits):
    """A key to issue; limits may be left out."""

    model_config = _example(name="ci", role="user", priority_ceiling=5, max_pending=100)

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    role: Literal["user", "admin"] = "user"


Overlap = Annotated[float, Field(ge=0, le=MAX_OVERLAP.total_seconds(), allow_inf_nan=False, strict=True)]


class RotateKey(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"overlap_seconds": 3600}})

    overlap_seconds: Overlap = Field(
        default=DEFAULT_OVERLAP.total_seconds(),
        description="How long the secret before stays valid; 0: it ends at once.",
    )


class KeyAnswer(BaseModel):
    """An API key, without its secret."""

    model_config = ConfigDict(title="Key")

    key_id: str
    name: str
    role: str
    prefix: str = Field(description="How the secret begins.")
    is_valid: bool
    created_at: Time
    last_used_at: Time | None = Field(description="To the minute.")
    revoked_at: Time | None
    expires_at: Time | None
    previous_until: Time | None = Field(
        description="Until when the secret before the last rotation is valid."
    )
    default_priority: int | None
    priority_ceiling: int | None
    allowed_models: list[str] | None
    on_disconnect: Literal["cancel", "continue"] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    max_pending: int | None


class IssuedKeyAnswer(KeyAnswer):
    """A key with its secret, which is shown this once."""

    model_config = ConfigDict(title="IssuedKey")

    key: str = Field(description="The secret; it can't be shown again.")


class UsageQuery(Parameters):
    hours: Annotated[float, Field(gt=0, le=24 * 366, allow_inf_nan=False)] = Field(
        default=24.0, description="Of the jobs that ended within so many hours, as far as they are kept."
    )
    key_id: str | None = Field(default=None, description="Only of this key.")


class UsageAnswer(BaseModel):
    """What one key has used of one model."""

    model_config = ConfigDict(title="Usage")

    key_id: str
    model: str
    jobs: int
    prompt_tokens: int
    output_tokens: int
    processing_seconds: float


class UsageList(BaseModel):
    hours: float
    usage: list[UsageAnswer]


class KeyList(BaseModel):
    keys: list[KeyAnswer]


class QueueLevel(BaseModel):
    priority: int
    pending: int = Field(description="Pending jobs that were submitted with this priority.")
    lined_up: int | None = Field(
        description="Messages in Redis that have aged to this level; null: no Redis."
    )


class QueueAnswer(BaseModel):
    """A model's queue."""

    model_config = ConfigDict(title="Queue")

    model: str
    paused_at: Time | None = Field(description="Since when an operator lets its jobs wait; null: not paused.")
    pending: int
    lined_up: int | None
    processing: int
    oldest_wait_seconds: float | None
    completed_last_minute: int
    workers: int = Field(description="Live workers that have the model; with none its jobs wait.")
    levels: list[QueueLevel] = Field(description="The most urgent first; empty levels are left out.")


class QueueList(BaseModel):
    queues: list[QueueAnswer]


class QueuePath(Parameters):
    model: ModelName = Field(description="A model's name, as it is; a slash in it needs no escape.")


class PausedAnswer(BaseModel):
    """Whether a model's queue is paused now."""

    model_config = ConfigDict(
        title="PausedQueue", json_schema_extra={"example": {"model": MODEL, "is_paused": True}}
    )

    model: str
    is_paused: bool


class ClearedQueue(BaseModel):
    model_config = _example(model=MODEL, cancelled=12)

    model: str
    cancelled: int = Field(description="How many jobs were pending, and are cancelled now.")


class DeadLetterQuery(Parameters):
    model: ModelName | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: Annotated[str, Field(max_length=2000)] | None = Field(
        default=None, description="next_cursor of the page before."
    )
