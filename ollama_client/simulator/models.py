"""The installed models: who they are, what they can, and how /api/tags and /api/ps tell it."""

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any

from ollama_client.simulator.answers import canonical
from ollama_client.simulator.go_json import timestamp

COMPLETION = ("completion",)
EMBEDDING = ("embedding",)
_MISSING_TENSOR = (
    "llama runner process has terminated: error loading model: "
    "missing tensor 'blk.1.attn_norm.weight'\npanic: unable to load model: {blob}"
)


@dataclass(frozen=True, slots=True)
class Model:
    """One installed model."""

    name: str
    """In full, tag included."""
    capabilities: tuple[str, ...] = COMPLETION
    size_bytes: int = 1_321_098_329
    parameter_size: str = "1.2B"
    quantization: str = "Q8_0"
    family: str = "llama"
    context_length: int = 4096
    embedding_length: int = 2048
    load_error: str | None = None
    tokens_per_second: float | None = None
    """Its own speed; None: the simulator's."""
    ends_itself: bool = False
    """Stops at a length of its own, below `num_predict`."""
    modified_ns: int = field(default_factory=time.time_ns)

    @property
    def digest(self) -> str:
        """Made up, and always the same for the same name."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def blob(self) -> str:
        """Where the weights would be."""
        return f"/models/blobs/sha256-{hashlib.sha256(self.digest.encode()).hexdigest()}"

    @property
    def full_name(self) -> str:
        """With the registry, as some of Ollama's errors have it."""
        return f"registry.ollama.ai/library/{self.name}"

    def can(self, capability: str) -> bool:
        """Whether the model has a capability: completion, embedding, tools, thinking, vision, insert."""
        return capability in self.capabilities

    def details(self, parent: str = "") -> dict[str, Any]:
        """The object under `details` in tags, ps and show."""
        return {
            "parent_model": parent,
            "format": "gguf",
            "family": self.family,
            "families": [self.family],
            "parameter_size": self.parameter_size,
            "quantization_level": self.quantization,
        }

    def tag(self) -> dict[str, Any]:
        """Its entry in /api/tags."""
        return {
            "name": self.name,
            "model": self.name,
            "modified_at": timestamp(self.modified_ns),
            "size": self.size_bytes,
            "digest": self.digest,
            "details": self.details(),
        }

    def loaded(self, expires_at: str, num_ctx: int) -> dict[str, Any]:
        """Its entry in /api/ps."""
        return {
            "name": self.name,
            "model": self.name,
            "size": self.size_bytes + 512 * num_ctx,
            "digest": self.digest,
            "details": self.details(),
            "expires_at": expires_at,
            "size_vram": 0,
            "context_length": num_ctx,
        }


class Catalogue:
    """The installed models by any spelling of their names."""

    def __init__(self, models: list[Model]) -> None:
        self._models = {model.name: model for model in models}

    def find(self, name: str) -> Model | None:
        """The model of that name, or None."""
        return self._models.get(canonical(name))

    def add(self, model: Model) -> None:
        """Install a model."""
        self._models[model.name] = model

    def remove(self, name: str) -> Model | None:
        """Remove a model; it is answered, or None if there was none."""
        return self._models.pop(canonical(name), None)

    def newest_first(self) -> list[Model]:
        """Every model in the order of /api/tags."""
        return sorted(self._models.values(), key=lambda model: -model.modified_ns)


_HUMAN = (
    Model("llama3.2:1b", ("completion", "tools")),
    Model(
        "qwen3:0.6b",
        ("completion", "tools", "thinking"),
        522_653_767,
        "751.63M",
        "Q4_K_M",
        "qwen3",
        4096,
        1024,
    ),
    Model("all-minilm:latest", EMBEDDING, 45_960_996, "23M", "F16", "bert", 512, 384),
)


def _tiny(name: str, *capabilities: str, **other: Any) -> Model:
    return Model(
        f"{name}:latest",
        ("completion", *capabilities),
        other.pop("size_bytes", 545_486),
        other.pop("parameter_size", "134K"),
        "unknown",
        context_length=2048,
        embedding_length=64,
        **other,
    )


def _wire() -> list[Model]:
    """The models of the recorded exchanges."""
    broken = _tiny("tiny-broken", size_bytes=380_589, parameter_size="93K", load_error=_MISSING_TENSOR)
    return [
        broken,
        _tiny("tiny-eos", ends_itself=True),
        _tiny("tiny-slow", size_bytes=67_980_844, parameter_size="33.97M", tokens_per_second=250.0),
        _tiny("tiny-think", "thinking"),
        _tiny("tiny-tools", "tools"),
        _tiny("tiny-a"),
        _tiny("tiny-b"),
        _tiny("tiny-badarch", family="nosucharch", load_error="unable to load model: {blob}"),
    ]


def parse_model(text: str) -> Model:
    """A model from `NAME` or `NAME=CAPABILITY+CAPABILITY`; a known name keeps its own properties."""
    name, _, capabilities = text.strip().partition("=")
    known = {model.name: model for model in (*_HUMAN, *_wire())}.get(canonical(name))
    if known and not capabilities:
        return known
    if capabilities:
        return Model(canonical(name), tuple(capabilities.split("+")))
    embeds = any(part in name for part in ("embed", "minilm", "bge"))
    return Model(canonical(name), EMBEDDING if embeds else COMPLETION)


def parse_models(text: str | None) -> Catalogue:
    """The models of `--models`: None for a plausible three, `wire` for the recorded ones, or names."""
    if text is None:
        return Catalogue(list(_HUMAN))
    models: list[Model] = []
    for name in filter(None, text.split(",")):
        models += _wire() if name == "wire" else [parse_model(name)]
    return Catalogue(models)
