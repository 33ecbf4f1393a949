"""An answer's whole text and figures: what the replies of every route are written from."""

import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ollama_client.simulator.answers import VOCABULARY
from ollama_client.simulator.ask import Ask
from ollama_client.simulator.generation import Generation
from ollama_client.simulator.plan import Piece

# Waiting for nothing still took Ollama about a millisecond; 0 would drop the field.
_SHORTEST_LOAD_NS = 1_000_000


@dataclass(slots=True)
class Result:
    """What has been made so far; the text is collected only where it is asked for in one piece."""

    ask: Ask
    generation: Generation
    load_seconds: float = 0.0
    pieces: list[Piece] = field(default_factory=list)
    is_done: bool = False

    @property
    def content(self) -> str:
        """The answer without the thoughts; empty for a tool call."""
        return "" if self.tool_calls else "".join(p.text for p in self.pieces if not p.is_thinking)

    @property
    def thinking(self) -> str:
        """The thoughts."""
        return "".join(p.text for p in self.pieces if p.is_thinking)

    @property
    def tool_calls(self) -> list[dict[str, Any]] | None:
        """The tool calls, or None."""
        return self.generation.plan.tool_calls

    @property
    def done_reason(self) -> str:
        """stop or length."""
        return self.generation.plan.done_reason

    @property
    def prompt_tokens(self) -> int:
        """What the prompt counts."""
        return self.generation.plan.prompt_tokens

    @property
    def tokens(self) -> int:
        """What the answer counts."""
        return max(self.generation.tokens, 1)

    def figures(self) -> dict[str, int]:
        """The final object's counts and times in nanoseconds; as in Go, zeros are left out."""
        figures = {
            "total_duration": time.monotonic_ns() - self.ask.arrived_ns,
            "load_duration": max(int(self.load_seconds * 1e9), _SHORTEST_LOAD_NS),
            "prompt_eval_count": self.prompt_tokens,
            "prompt_eval_duration": self.generation.prompt_ns,
            "eval_count": self.tokens,
            "eval_duration": self.generation.eval_ns,
        }
        return {name: value for name, value in figures.items() if value}

    def context(self) -> list[int]:
        """As many token numbers as prompt and answer have; they mean nothing."""
        length = self.prompt_tokens + self.tokens
        seed = self.generation.plan.seed
        return list((seed * (length // len(seed) + 1))[:length])

    def logprobs(self, pieces: list[Piece]) -> list[dict[str, Any]]:
        """Made-up log probabilities of some tokens, with as many alternatives as are asked for."""
        return [self._logprob(piece.text) for piece in pieces]

    def _logprob(self, token: str) -> dict[str, Any]:
        random = Random(token)
        found = {"token": token, "logprob": -random.random(), "bytes": list(token.encode())}
        if self.ask.top_logprobs:
            others = [" " + random.choice(VOCABULARY) for _ in range(self.ask.top_logprobs)]
            found["top_logprobs"] = [
                {"token": other, "logprob": -1 - random.random(), "bytes": list(other.encode())}
                for other in others
            ]
        return found
