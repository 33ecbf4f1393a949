"""What an Ollama has installed and loaded, under normalised names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.errors import InvalidRequest
from jobs.inventories import Inventory
from jobs.model_names import normalise_model
from jobs.workers import InstalledModel
from ollama_client.errors import ModelNotFound
from ollama_client.transport import OllamaTransport

_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Details:
    """What /api/show says of a model, as far as it matters here."""

    can_complete: bool  # whether it writes text; an embedding model does not
    num_ctx: int | None  # from its Modelfile

    @classmethod
    def of(cls, shown: Mapping[str, Any]) -> "Details":
        capabilities = shown.get("capabilities")
        size = _NUM_CTX.search(str(shown.get("parameters") or ""))
        return cls(capabilities is None or "completion" in capabilities, int(size[1]) if size else None)


_details_by_digest: dict[str, Details] = {}  # asked once
_loaded_with: dict[str, int] = {}  # by digest: the context it was last seen with


def read_models(transport: OllamaTransport) -> list[InstalledModel]:
    """
    The models of one Ollama.

    Raises:
        OllamaError: it could not be asked.
    """
    return models_in(transport, take_inventory(transport))


def take_inventory(transport: OllamaTransport) -> Inventory:
    """
    What one Ollama lists.

    Raises:
        OllamaError: it could not be asked.
    """
    loaded = transport.ps()
    return Inventory(transport.tags(), loaded)


def models_in(transport: OllamaTransport, inventory: Inventory) -> list[InstalledModel]:
    """
    The models that it lists, and what they can do.

    Raises:
        OllamaError: it could not be asked.
    """
    loaded = set()
    for model in inventory.loaded:
        loaded.add(_normalised(str(model["name"])))
        if model.get("context_length"):
            _loaded_with[str(model.get("digest", ""))] = int(model["context_length"])
    found = []
    for model in inventory.tags:
        name, digest = _normalised(str(model["name"])), str(model.get("digest", ""))
        if name is not None:
            details = _details(transport, str(model["name"]), digest)
            found.append(
                InstalledModel(
                    name,
                    size_bytes=int(model.get("size") or 0),
                    can_complete=details.can_complete,
                    is_loaded=name in loaded,
                    num_ctx=details.num_ctx or _loaded_with.get(digest),
                )
            )
    return found


def _normalised(name: str) -> str | None:
    """None for a name that could not be submitted anyway."""
    try:
        return normalise_model(name)
    except InvalidRequest:
        return None


def _details(transport: OllamaTransport, name: str, digest: str) -> Details:
    if digest not in _details_by_digest:
        try:
            _details_by_digest[digest] = Details.of(transport.show(name))
        except ModelNotFound:  # removed in between
            return Details(can_complete=False, num_ctx=None)
    return _details_by_digest[digest]
