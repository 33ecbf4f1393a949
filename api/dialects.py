"""Whose clients a path has: Ollama's, OpenAI's, or our own."""

from jobs.wire import Dialect

_OPENAI = "/v1/"
# Below /api/ everything is Ollama's, of today or of tomorrow, but for these.
_OUR_OWN = frozenset({"llm", "admin", "health", "docs", "openapi.json", "ollama_models"})


def dialect_of(path: str) -> Dialect | None:
    """In what words a path answers errors; None: as problems."""
    if f"{path}/".startswith(_OPENAI):
        return "openai"
    _, first, *rest = path.split("/")
    return "ollama" if first == "api" and rest and rest[0] not in _OUR_OWN else None
