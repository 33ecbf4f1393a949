"""What an API key may do: one model for REST, the command line and the check at every submit."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from jobs.requests import ModelName, Priority
from jobs.scheduling import DEFAULT_PRIORITY

_EARLIEST, _LATEST = 2000, 9000  # years: what both databases and every time zone can tell
_MOST = 1_000_000


def _sorted_once(names: list[str]) -> list[str]:
    return sorted(set(names))


def _in_utc(moment: datetime) -> datetime:
    if not _EARLIEST <= moment.year <= _LATEST:
        raise ValueError(f"the year must be {_EARLIEST} to {_LATEST}")
    return moment.astimezone(UTC)


def _refuse_number(value: object) -> object:
    if isinstance(value, int | float):
        raise ValueError("expected a time with its zone, such as 2030-01-01T00:00:00Z")
    return value


Expiry = Annotated[AwareDatetime, BeforeValidator(_refuse_number), AfterValidator(_in_utc)]
AllowedModels = Annotated[list[ModelName], Field(min_length=1, max_length=200), AfterValidator(_sorted_once)]
Limit = Annotated[int, Field(ge=1, le=_MOST, strict=True)]


class KeyLimits(BaseModel):
    """A key's limits; null: none."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"priority_ceiling": 2, "allowed_models": ["llama3.1:8b"]}},
    )

    default_priority: Priority | None = Field(
        default=None, description="For requests that name none; null: 5, normal."
    )
    priority_ceiling: Priority | None = Field(
        default=None, description="The most urgent priority it may use; what is more urgent is lowered to it."
    )
    allowed_models: AllowedModels | None = Field(default=None, description="Null: every model.")
    on_disconnect: Literal["cancel", "continue"] | None = Field(
        default=None,
        description="What becomes of a job whose client goes away; null: the installation's setting.",
    )
    requests_per_minute: Limit | None = Field(
        default=None, description="Jobs that it may submit in a minute."
    )
    tokens_per_minute: Limit | None = Field(
        default=None,
        description="Tokens, of prompts and answers, that its jobs may have used within the last minute when "
        "it submits the next one.",
    )
    max_pending: Limit | None = Field(default=None, description="Jobs that it may have pending at once.")
    expires_at: Expiry | None = Field(default=None, description="From then on the key is invalid.")

    def priority_of(self, asked: int | None) -> int:
        """
        The priority of a job.

        Args:
            asked: What the request names; None: nothing.
        """
        if asked is None:
            asked = DEFAULT_PRIORITY if self.default_priority is None else self.default_priority
        return asked if self.priority_ceiling is None else max(asked, self.priority_ceiling)


NO_LIMITS = KeyLimits()
