"""What the simulator can be told at its start; the control route changes some of it while it runs."""

from dataclasses import dataclass, fields

from ollama_client.simulator.answers import DEFAULT_TOKENS


@dataclass(slots=True)
class Options:
    """Ollama's own limits and the simulated speeds."""

    parallel: int = 1
    """Slots of each loaded model: OLLAMA_NUM_PARALLEL."""
    max_loaded: int = 3
    """Models loaded at once: OLLAMA_MAX_LOADED_MODELS."""
    max_queue: int = 512
    """Requests that may wait for a load: OLLAMA_MAX_QUEUE."""
    keep_alive_seconds: float = 300.0
    """How long an idle model stays loaded: OLLAMA_KEEP_ALIVE."""
    load_seconds: float = 0.0
    prompt_seconds: float = 0.0
    """Time before the first token."""
    tokens_per_second: float = 0.0
    """Of each slot; 0 is as fast as possible."""
    tokens: int = DEFAULT_TOKENS
    """Length of an answer whose request sets no `num_predict`."""
    tool_calls: bool = False
    """Answer with a tool call whenever the request offers tools."""

    def __post_init__(self) -> None:
        for field in fields(self):
            self.change(field.name, getattr(self, field.name))

    def change(self, name: str, value: object) -> None:
        """
        Raises:
            ValueError: The value is none for this option.
        """
        whole = name in ("parallel", "max_loaded", "max_queue", "tokens")
        least = 1 if name in ("parallel", "max_loaded") else 0
        if not isinstance(value, int if whole else int | float) or value < least:
            kind = "whole number" if whole else "number"
            raise ValueError(f"{name}: a {kind} of {least} or more, not {value!r}")
        setattr(self, name, value)
