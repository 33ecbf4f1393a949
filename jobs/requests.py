"""What may be submitted. REST, `.delay()` and the OpenAPI document are made from these models."""

from typing import Annotated, Any, Literal, Protocol, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from jobs.errors import InvalidRequest
from jobs.model_names import normalise_model
from jobs.scheduling import DEFAULT_PRIORITY, LOWEST_LEVEL, PRIORITIES

Kind = Literal["generate", "chat", "embed"]
_INPUT_OF_KIND: dict[str, Kind] = {"prompt": "generate", "messages": "chat", "input": "embed"}
YEAR_SECONDS = 366 * 24 * 3600.0


def parse_priority(value: Any) -> int:
    """A level 0 to 9, or one of its names."""
    if isinstance(value, str) and value in PRIORITIES:
        return PRIORITIES[value]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LOWEST_LEVEL:
        return value
    raise ValueError(f"must be 0 (most urgent) to {LOWEST_LEVEL} or one of {', '.join(PRIORITIES)}")


def _check_model(value: str) -> str:
    try:
        return normalise_model(value)
    except InvalidRequest as error:
        raise ValueError(error.message.removeprefix("model: ")) from None


Priority = Annotated[
    int,
    BeforeValidator(parse_priority),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": LOWEST_LEVEL},
                {"type": "string", "enum": list(PRIORITIES)},
            ]
        }
    ),
]
ModelName = Annotated[str, AfterValidator(_check_model)]
Seconds = Annotated[float, Field(gt=0, le=YEAR_SECONDS, allow_inf_nan=False, strict=True)]
Label = Annotated[str, Field(max_length=1000)]
Metadata = Annotated[dict[Annotated[str, Field(max_length=100)], Label], Field(max_length=50)]


class JobRequest(Protocol):
    """What may become a job: `SubmitJob`, or a request in another API's words."""

    @property
    def resolved_kind(self) -> Kind: ...

    @property
    def model(self) -> str | None: ...

    @property
    def priority(self) -> int: ...

    @property
    def metadata(self) -> dict[str, str]: ...

    @property
    def deadline_seconds(self) -> float | None: ...

    @property
    def timeout_seconds(self) -> float | None: ...

    def generation_input(self) -> dict[str, Any]:
        """What is kept of the request for the model, as JSON."""


class Message(BaseModel):
    """One message of a chat, as Ollama takes it; further fields are passed on."""

    model_config = ConfigDict(extra="allow")

    role: Annotated[str, Field(min_length=1)]
    content: str = ""


class GenerationInput(BaseModel):
    """What is asked of the model: the part of a request that Ollama gets to see."""

    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[str, Field(min_length=1)] | None = None
    messages: Annotated[list[Message], Field(min_length=1)] | None = None
    input: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1)] | None = None
    system: str | None = None
    images: list[str] | None = None
    tools: list[dict[str, JsonValue]] | None = None
    format: Literal["json"] | dict[str, JsonValue] | None = None
    think: bool | Literal["low", "medium", "high"] | None = None
    options: dict[str, JsonValue] | None = None
    keep_alive: str | int | float | None = None


class SubmitJob(GenerationInput):
    """A job to run: one of `prompt`, `messages` or `input`, and how to treat it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"prompt": "Why is the sky blue?", "priority": "normal"}},
    )

    kind: Kind | None = Field(default=None, description="Follows from prompt, messages or input when unset.")
    model: ModelName | None = Field(default=None, description="Unset: the installation's default model.")
    priority: Priority = DEFAULT_PRIORITY
    deadline_seconds: Seconds | None = Field(default=None, description="Not started by then: expired.")
    timeout_seconds: Seconds | None = Field(default=None, description="Running longer than this: failed.")
    metadata: Metadata = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        given = [name for name in _INPUT_OF_KIND if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ValueError(f"give exactly one of prompt, messages and input; found {found}")
        follows = _INPUT_OF_KIND[given[0]]
        if self.kind not in (None, follows):
            raise ValueError(f"kind {self.kind!r} does not go with {given[0]}; expected {follows!r}")
        self.kind = follows
        if self.options and self.options.get("num_predict") == 0:
            raise ValueError("options.num_predict: 0 never ends in Ollama; leave it out or give 1 or more")
        return self

    @property
    def resolved_kind(self) -> Kind:
        """The kind, which validation has settled."""
        assert self.kind is not None  # noqa: S101 - set by _one_input
        return self.kind

    def generation_input(self) -> dict[str, Any]:
        """What is kept of the request for the model, as JSON."""
        return self.model_dump(mode="json", include=set(GenerationInput.model_fields), exclude_none=True)


def validate_submit(values: dict[str, Any]) -> SubmitJob:
    """
    A checked request from loose values.

    Raises:
        InvalidRequest: names every field that is wrong; never quotes a value, since
            it may be a prompt and errors end up in logs.
    """
    try:
        return SubmitJob.model_validate(values)
    except ValidationError as error:
        raise invalid_request(error) from None


def invalid_request(error: ValidationError) -> InvalidRequest:
    """pydantic's findings in one line, without any value."""
    problems = error.errors(include_input=False, include_url=False, include_context=False)
    return InvalidRequest("; ".join(describe_problem(problem)[1] for problem in problems))


def describe_problem(problem: Any) -> tuple[str, str]:
    """One of pydantic's errors as the field's dotted name and a sentence."""
    field = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return field, f"{field}: {message}" if field else message
