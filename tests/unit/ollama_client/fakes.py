"""An Ollama in memory, as far as the high-level client looks at it."""

from ollama_client.stream import OllamaStream


class CannedAnswer:
    """A streamed answer whose lines are given."""

    content_type = "application/x-ndjson"

    def __init__(self, raw):
        self.portions = [raw]

    def read(self):
        return self.portions.pop(0) if self.portions else b""

    def continued(self):
        pass

    drain = close = continued


class FakeTransport:
    """
    Answers each call with the next outcome: bytes of a stream, a dict, or an exception.

    Attributes:
        calls: Path and body of each.
    """

    base_url = "http://fake:11434"

    def __init__(self, *outcomes, installed=(), loaded=(), capabilities=None):
        self.outcomes = list(outcomes)
        self.installed, self.loaded = list(installed), list(loaded)
        self.capabilities = capabilities or {}
        self.calls = []
        self.closed = self.aborted = False

    def _next(self, path, body):
        self.calls.append((path, body))
        outcome = self.outcomes[0] if len(self.outcomes) == 1 else self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def stream(self, path, body, *, limits=None):
        self.limits = limits
        return OllamaStream(CannedAnswer(self._next(path, body)))

    def request(self, method, path, body=None):
        return self._next(path, body)

    def version(self):
        return self._next("/api/version", None)

    def tags(self):
        if self.outcomes and isinstance(self.outcomes[0], Exception):
            raise self.outcomes[0]
        return self.installed

    def ps(self):
        return self.loaded

    def show(self, name):
        return {"capabilities": self.capabilities.get(name, ["completion"])}

    def abort(self):
        self.aborted = True

    def close(self):
        self.closed = True
