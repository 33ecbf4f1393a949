"""Names of models: one spelling for what Ollama takes as the same model."""

import re
import uuid

from jobs.errors import InvalidRequest

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_-])?"
_NAME = re.compile(rf"(?:{_PART}(?::\d+)?/)?(?:{_PART}/)*{_PART}(?::{_PART})?")
MAX_LENGTH = 255
NAMESPACE = uuid.UUID("6f1c2f3e-5d0b-5f53-9d6b-0e6c4d1f7a10")


def normalise_model(name: str) -> str:
    """
    The one spelling of a model's name: lower case, without the default registry,
    namespace and tag, as Ollama itself resolves them.

    Raises:
        InvalidRequest: not a name that Ollama could have.
    """
    if not name or len(name) > MAX_LENGTH or ".." in name or not _NAME.fullmatch(name):
        raise InvalidRequest(f"model: {name[:80]!r} is not a model's name; expected NAME[:TAG]")
    name = name.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name.removesuffix(":latest")


def model_id(name: str) -> str:
    """The model's id: a UUIDv5 of its normalised name, so the same on every installation."""
    return str(uuid.uuid5(NAMESPACE, normalise_model(name)))
