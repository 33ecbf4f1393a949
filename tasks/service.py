"""
What a service is: a prompt made from typed input, with its own temperature, token limit and priority.

A service is one file in `tasks/services/` that defines SERVICE. Its task, its route, and its
entry in the OpenAPI document follow from that.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jobs.errors import InvalidRequest
from jobs.requests import Metadata, ModelName, Priority, Seconds, SubmitJob, invalid_request

_HANDLING = ("model", "deadline_seconds", "timeout_seconds", "metadata")


class ServiceInput(BaseModel):
    """What every service takes besides its own fields: how to treat the job."""

    model_config = ConfigDict(extra="forbid")

    model: ModelName | None = Field(default=None, description="Unset: the installation's default model.")
    priority: Priority | None = Field(default=None, description="Unset: the service's own.")
    deadline_seconds: Seconds | None = Field(default=None, description="Not started by then: expired.")
    timeout_seconds: Seconds | None = Field(default=None, description="Running longer than this: failed.")
    metadata: Metadata = Field(default_factory=dict)


@dataclass(frozen=True)
class Service:
    """
    One service.

    Args:
        name: As in its route and on its jobs: lower case, words joined by "-".
        summary: One line for the OpenAPI document.
        input: Its fields; in the order in which positional arguments of `.delay()` fill them.
        system: What the model is told about its work.
        write_prompt: The prompt for one input.
        max_tokens: The answer is cut after so many.
        answer: The form of an answer that is data; None: prose.
        example: An input that works, for the documentation.
    """

    name: str
    summary: str
    input: type[ServiceInput]
    system: str
    write_prompt: Callable[[Any], str]
    temperature: float
    max_tokens: int
    priority: int
    example: Mapping[str, Any]
    answer: type[BaseModel] | None = None

    @property
    def task_name(self) -> str:
        return f"tasks.services.{self.name.replace('-', '_')}"

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ServiceInput:
        """
        The input of a call; positional arguments fill the service's own fields in their order.

        Raises:
            InvalidRequest: names every field that is wrong, and quotes none.
        """
        own = [name for name in self.input.model_fields if name not in ServiceInput.model_fields]
        positional = dict(zip(own, args, strict=False))
        twice = positional.keys() & kwargs.keys()
        if len(args) > len(own) or twice:
            raise InvalidRequest(f"{self.name} takes {', '.join(own)}, each once")
        try:
            return self.input.model_validate({**positional, **kwargs})
        except ValidationError as error:
            raise invalid_request(error) from None

    def request(self, given: ServiceInput) -> SubmitJob:
        """
        The job for this input.

        Raises:
            InvalidRequest: the prompt is no text, for instance with half a surrogate pair in it.
        """
        handling = {name: getattr(given, name) for name in _HANDLING}
        try:
            return SubmitJob(
                prompt=self.write_prompt(given),
                system=self.system,
                format=schema_of(self.answer) if self.answer is not None else None,
                options={"temperature": self.temperature, "num_predict": self.max_tokens},
                priority=self.priority if given.priority is None else given.priority,
                **handling,
            )
        except ValidationError as error:
            raise invalid_request(error) from None


def schema_of(answer: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON schema without references, which not every Ollama follows."""
    schema = answer.model_json_schema()
    definitions = schema.pop("$defs", {})
    resolved: dict[str, Any] = _resolve(schema, definitions)
    return resolved


def _resolve(part: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(part, list):
        return [_resolve(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _resolve(definitions[part["$ref"].rpartition("/")[2]], definitions)
    return {name: _resolve(value, definitions) for name, value in part.items()}
