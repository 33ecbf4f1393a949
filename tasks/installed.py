"""What an Ollama has installed and loaded, under normalised names."""

from jobs.errors import InvalidRequest
from jobs.inventories import Inventory
from jobs.model_names import normalise_model
from jobs.workers import InstalledModel
from ollama_client.errors import ModelNotFound
from ollama_client.transport import OllamaTransport

_can_complete_by_digest: dict[str, bool] = {}


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
    loaded = {_normalised(str(model["name"])) for model in inventory.loaded}
    found = []
    for model in inventory.tags:
        name = _normalised(str(model["name"]))
        if name is not None:
            completes = _can_complete(transport, str(model["name"]), str(model.get("digest", "")))
            found.append(InstalledModel(name, int(model.get("size") or 0), completes, name in loaded))
    return found


def _normalised(name: str) -> str | None:
    """None for a name that could not be submitted anyway."""
    try:
        return normalise_model(name)
    except InvalidRequest:
        return None


def _can_complete(transport: OllamaTransport, name: str, digest: str) -> bool:
    """Whether a model writes text; an embedding model does not. Asked once a digest."""
    if digest not in _can_complete_by_digest:
        try:
            capabilities = transport.show(name).get("capabilities")
        except ModelNotFound:  # removed in between
            return False
        _can_complete_by_digest[digest] = capabilities is None or "completion" in capabilities
    return _can_complete_by_digest[digest]
