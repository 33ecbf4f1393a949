"""
What the routes take and answer: one set of models for validation, rendering and the OpenAPI document.

What may be submitted is the core's own model, `jobs.requests.SubmitJob`.
"""

from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from jobs.instants import isoformat
from jobs.models import ID_LENGTH
from jobs.reasons import ReasonCode
from jobs.requests import Kind, ModelName, Priority
from jobs.states import Status

MAX_WAIT_SECONDS = 60

Time = Annotated[
    datetime,
    PlainSerializer(isoformat, when_used="unless-none"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
LongText = Annotated[str, Field(max_length=2000)]


class Parameters(BaseModel):
    """Query and path parameters; one that is not known is refused, since it may be a slip."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Made once: flask-openapi asks for it at every request, and it takes longer than all the rest."""
        return _schema_of(cls, args, tuple(kwargs.items()))


@cache
def _schema_of(model: type[Parameters], args: tuple[Any, ...], kwargs: tuple[Any, ...]) -> dict[str, Any]:
    return super(Parameters, model).model_json_schema(*args, **dict(kwargs))


class JobPath(Parameters):
    job_id: str = Field(description="The job's id, as submitting answered it.")


class WaitQuery(Parameters):
    wait: float = Field(
        default=0,
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Answer when the job is complete, or after this many seconds.",
    )


class EventsQuery(Parameters):
    last_event_id: str | None = Field(
        default=None, description="As the header Last-Event-ID, for clients that can't send one."
    )


class JobStateQuery(Parameters):
    # Required, though the view says so itself: 400, as this route's callers expect, and not 422.
    model_config = ConfigDict(extra="ignore", json_schema_extra={"required": ["job_id"]})

    job_id: str | None = None


class PromptBody(BaseModel):
    """A prompt, and for whoever wants to choose, the model."""

    model_config = ConfigDict(json_schema_extra={"example": {"prompt": "Why is the sky blue?"}})

    prompt: Annotated[str, Field(min_length=1)]
    model: ModelName | None = None


class AttemptAnswer(BaseModel):
    """One run that failed, with its reason."""

    code: str
    message: str
    worker: str | None
    started_at: Time | None
    ended_at: Time


class JobError(BaseModel):
    """Why the job did not complete; or, while it goes on, which attempts failed so far."""

    code: str
    message: str
    attempt_errors: list[AttemptAnswer]


class JobUrls(BaseModel):
    """Where to go on."""

    status: str
    result: str
    events: str
    cancel: str
    why: str


class JobAnswer(BaseModel):
    """A job. Times are UTC; durations are seconds."""

    model_config = ConfigDict(title="Job")

    job_id: Annotated[str, Field(max_length=ID_LENGTH)]
    status: Status
    is_complete: bool
    kind: Kind
    service: str | None
    model: str
    priority: int = Field(description="As submitted: 0 (most urgent) to 9.")
    queue_position: int | None = Field(description="Jobs ahead of it, at most 1000; null unless it waits.")
    estimated_wait_seconds: float | None = Field(
        description="Until it starts, if nothing more urgent comes; null where it is not known."
    )
    attempts: int = Field(description="Runs that failed or whose worker was lost.")
    created_at: Time
    started_at: Time | None
    completed_at: Time | None
    queue_seconds: float | None
    processing_time: float | None
    load_seconds: float | None
    prompt_tokens: int | None
    output_tokens: int | None
    tokens_per_second: float | None
    worker: str | None
    metadata: dict[str, str]
    error: JobError | None
    result_data: Any = Field(
        description="The text, the embeddings or the message, once completed; "
        "or the text so far of a generation that was aborted."
    )
    urls: JobUrls


class WholeJob(JobAnswer):
    """A job with what was asked and what came out."""

    model_config = ConfigDict(title="WholeJob")

    input: dict[str, Any] | None = Field(description="What was asked.")
    result: dict[str, Any] | None = Field(description="Ollama's final object, once completed.")


class MoveJob(BaseModel):
    """Another priority for a job that waits."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"priority": "high"}})

    priority: Priority


class MomentAnswer(BaseModel):
    """One thing that happened to a job."""

    model_config = ConfigDict(title="Moment")

    at: Time
    event: str = Field(
        description="submitted, released, published, claimed, model_loaded, first_token, attempt_failed, "
        "worker_lost, handed_back, priority_changed, retried, completed, failed, cancelled or expired."
    )
    after_seconds: float = Field(description="Since the job was submitted.")
    detail: dict[str, Any] = Field(description="Such as worker, claim, publication, code, message.")


class SpanAnswer(BaseModel):
    """What a job did from when to when; `ended_at` is null while it lasts."""

    model_config = ConfigDict(title="Span")

    name: Literal["waiting", "loading", "running"]
    began_at: Time
    ended_at: Time | None


class HistoryAnswer(BaseModel):
    """A job's timeline, the earliest first."""

    model_config = ConfigDict(title="History")

    job_id: str
    status: Status
    events: list[MomentAnswer]
    spans: list[SpanAnswer] = Field(description="The same as stretches of time: waiting, loading, running.")


class WaitRange(BaseModel):
    """Seconds; most waits are between `low` and `high`. Null where it is not known."""

    seconds: float | None
    low: float | None
    high: float | None


class Slots(BaseModel):
    """Of the workers that can run the job now."""

    total: int
    busy: int


class ReasonAnswer(BaseModel):
    """One thing that a job waits for. `code` is stable; `message` is for people."""

    code: ReasonCode
    message: str


class WhyAnswer(BaseModel):
    """What a job waits for; of one that does not wait, why not."""

    model_config = ConfigDict(title="Why")

    job_id: str
    status: Status
    queue_position: int | None
    position_capped: bool = Field(description="There are more jobs ahead than queue_position says.")
    model_loads_ahead: int | None = Field(description="Null where it is not known.")
    slots: Slots
    estimated_wait: WaitRange = Field(description="Until it starts, if nothing more urgent comes.")
    reasons: list[ReasonAnswer] = Field(description="What weighs most comes first.")


class JobList(BaseModel):
    jobs: list[JobAnswer]
    next_cursor: str | None = Field(description="For the next page; null on the last.")


class SubmittedJob(BaseModel):
    job_id: str


class JobState(BaseModel):
    """How far a job is, in the plainest words."""

    state: Literal["pending", "done", "failed"]
    data: str | None = Field(default=None, description="The text, when done.")
    error: str | None = Field(default=None, description="Why, when failed.")


class ModelAnswer(BaseModel):
    """A model that some worker's Ollama has."""

    model_config = ConfigDict(title="Model")

    id: str = Field(description="UUIDv5 of the name: the same on every installation.")
    name: str
    provider: Literal["ollama"] = "ollama"
    size_bytes: int
    is_loaded: bool
    workers: int = Field(description="How many live workers have it.")
    is_active: bool = Field(description="Whether it answers requests that name no model.")


class ModelList(BaseModel):
    models: list[ModelAnswer]


class Health(BaseModel):
    """`status` of the whole, and an entry for each part."""

    status: Literal["healthy", "degraded", "unhealthy"]
    database: dict[str, Any]
    broker: dict[str, Any] | None = None
    workers: dict[str, Any] | None = None
    ollama: list[dict[str, Any]] | None = None


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Problem(BaseModel):
    """An error (RFC 9457). `code` is stable; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str | None
    errors: dict[str, list[str]] | None = Field(
        default=None, description="With invalid_request: what is wrong, by field."
    )
