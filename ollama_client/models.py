"""Which model to use when none was named."""

from collections.abc import Iterable, Mapping
from typing import Any

from ollama_client.errors import ModelNotFound, NoModelInstalled
from ollama_client.transport import OllamaTransport

_DEFAULT_PREFIXES = ("registry.ollama.ai/", "library/")


def canonical_name(name: str) -> str:
    """A model's name as Ollama compares it: lower case, with tag, without the default registry."""
    name = name.strip().lower()
    for prefix in _DEFAULT_PREFIXES:
        name = name.removeprefix(prefix)
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def is_installed(name: str, models: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of the models of /api/tags has this name."""
    wanted = canonical_name(name)
    return any(canonical_name(str(model.get("name", ""))) == wanted for model in models)


def choose_model(transport: OllamaTransport, capability: str = "completion") -> str:
    """
    A model that is loaded, else the smallest installed, that can do this.

    Args:
        capability: As /api/show lists it: `completion`, `embedding`, `vision`, `tools` …

    Raises:
        NoModelInstalled: There is none.
        OllamaError: Ollama could not be asked.
    """
    installed = sorted(transport.tags(), key=lambda model: int(model.get("size") or 0))
    for model in [*transport.ps(), *installed]:
        # A cloud model weighs nothing, so it would always be the smallest; it needs an account.
        if not model.get("remote_host") and _can(transport, str(model["name"]), capability):
            return str(model["name"])
    what = f"for {capability}" if installed else "at all"
    raise NoModelInstalled(f"Ollama has no model {what}")


def _can(transport: OllamaTransport, name: str, capability: str) -> bool:
    try:
        capabilities = transport.show(name).get("capabilities")
    except ModelNotFound:  # removed in between
        return False
    # Servers from before capabilities were listed: assume that it can.
    return capabilities is None or capability in capabilities


class ModelChoice:
    """
    The model of each call: the one that was named, else one that was chosen once and kept.

    Args:
        named: The model's name; None: choose.
    """

    def __init__(self, transport: OllamaTransport, named: str | None) -> None:
        self._transport = transport
        self._named = named
        self._chosen: dict[str, str] = {}

    def for_capability(self, capability: str) -> str:
        """
        Its name; asks Ollama only the first time.

        Raises:
            NoModelInstalled, OllamaError: As `choose_model`.
        """
        if self._named is not None:
            return self._named
        if capability not in self._chosen:
            self._chosen[capability] = self._choose(capability)
        return self._chosen[capability]

    def forget(self) -> None:
        """Choose anew the next time: the chosen model is gone."""
        self._chosen.clear()

    def _choose(self, capability: str) -> str:
        try:
            return choose_model(self._transport, capability)
        except NoModelInstalled:
            # Models that complete can embed as well, only less aptly.
            if capability != "embedding":
                raise
            return choose_model(self._transport)
