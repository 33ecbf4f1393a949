"""What the list of jobs may be asked for."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from api.schemas import LongText, Parameters
from jobs.requests import Kind, ModelName, Priority
from jobs.states import Status

MAX_PAGE = 200


def _refuse_number(value: Any) -> Any:
    """A number would be taken for seconds since 1970; a time is ISO 8601 everywhere else."""
    try:
        float(value)
    except (TypeError, ValueError):
        return value
    raise ValueError("expected a time, such as 2030-01-01T00:00:00Z")


def _with_zone(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _as_level(value: Any) -> Any:
    """A query's values are texts, the levels among them too."""
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]", value) else value


QueryTime = Annotated[datetime, BeforeValidator(_refuse_number), AfterValidator(_with_zone)]
QueryPriority = Annotated[Priority, BeforeValidator(_as_level)]
_LABEL = "metadata."
_LABEL_PARAMETER = {
    "type": "object",
    "description": "`metadata.KEY=VALUE`: only jobs whose metadata has this; may be given for several keys.",
    "properties": {f"{_LABEL}KEY": {"type": "string"}},
    "additionalProperties": False,
}


class ListQuery(Parameters):
    """`metadata.KEY=VALUE`, any number of times, arrives as the dictionary `metadata`."""

    status: Status | None = None
    model: ModelName | None = None
    kind: Kind | None = None
    service: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{1,64}$")] | None = None
    priority: QueryPriority | None = None
    created_after: QueryTime | None = None
    created_before: QueryTime | None = None
    metadata: Annotated[dict[str, LongText], WithJsonSchema(_LABEL_PARAMETER)] = Field(default_factory=dict)
    limit: int = Field(default=50, ge=1, le=MAX_PAGE)
    cursor: LongText | None = Field(default=None, description="next_cursor of the page before.")

    @model_validator(mode="before")
    @classmethod
    def _gather_labels(cls, values: dict[str, Any]) -> dict[str, Any]:
        gathered = {name: value for name, value in values.items() if not name.startswith(_LABEL)}
        labels = {
            name.removeprefix(_LABEL): value for name, value in values.items() if name.startswith(_LABEL)
        }
        return gathered | {"metadata": labels} if labels else gathered
