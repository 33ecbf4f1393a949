"""
What the simulated models answer: pure functions of the model and the prompt.

An answer is derived from a hash of its own prompt, so a test can tell whose answer it
holds; it says in its first token that it is simulated; and it has none of the prompt's words.
"""

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from itertools import islice
from random import Random

MARK = "[simulated]"
DEFAULT_TOKENS = 32
"""Length of an answer whose request sets no `num_predict`."""

_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "st")
_RIMES = (
    "ado",
    "elu",
    "imo",
    "oru",
    "uma",
    "avi",
    "eno",
    "isa",
    "oke",
    "uri",
    "alo",
    "emi",
    "iru",
    "opa",
    "une",
    "yta",
)
VOCABULARY = tuple(onset + rime for onset in _ONSETS for rime in _RIMES)
"""256 made-up words: one byte of a hash chooses one."""

_WORD = re.compile(r"\w+")


def prompt_text(prompt: object) -> str:
    """The text that stands for a prompt, messages or an input; equal for equal meaning."""
    if isinstance(prompt, str):
        return prompt
    if isinstance(prompt, list):
        # A client may send `"images": []` or leave it out: the same message.
        prompt = [{k: v for k, v in m.items() if v} if isinstance(m, dict) else m for m in prompt]
    return json.dumps(prompt, sort_keys=True, separators=(",", ":"))


def prompt_sha256(prompt: object) -> str:
    """The prompt's hash as the log of served requests shows it."""
    return hashlib.sha256(_encode(prompt_text(prompt))).hexdigest()


def seed_of(kind: str, model: str, prompt: object, **also: object) -> bytes:
    """
    The hash that an answer is derived from.

    Args:
        kind: "generate", "chat" or "embed".
        model: The model's name in any of its spellings.
        prompt: The prompt, the messages or one input text.
        also: What else the request asks with: `system`, `suffix`, `template`, `context`, `images`.
    """
    extra = {name: value for name, value in also.items() if value}
    parts = [kind, canonical(model), prompt_text(prompt), prompt_text(extra) if extra else ""]
    return hashlib.sha256(b"\0".join(_encode(part) for part in parts)).digest()


@functools.lru_cache(maxsize=1024)
def canonical(model: str) -> str:
    """`TINY-A`, `tiny-a` and `registry.ollama.ai/library/tiny-a:latest` are all `tiny-a:latest`."""
    name = model.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def words(seed: bytes, prompt: object) -> Iterator[str]:
    """The answer's tokens, without end: the mark, then words that the prompt does not have."""
    seen = set(_WORD.findall(prompt_text(prompt).lower()))
    allowed = VOCABULARY
    if not seen.isdisjoint(VOCABULARY):
        # Digits in a made-up word keep it unlike any word of a prompt that holds the whole vocabulary.
        allowed = tuple(word if word not in seen else _unseen(word, seen) for word in VOCABULARY)
    yield MARK
    block = 0
    while True:
        for byte in hashlib.sha256(seed + block.to_bytes(8, "big")).digest():
            yield " " + allowed[byte]
        block += 1


def expected_text(
    kind: str,
    model: str,
    prompt: object,
    num_predict: int | None = None,
    *,
    default_tokens: int = DEFAULT_TOKENS,
    **also: object,
) -> str:
    """
    The text that the simulator answers to this request.

    Args:
        kind: "generate" or "chat".
        model: The model's name in any of its spellings.
        prompt: The prompt, or the list of messages.
        num_predict: The request's own; None where it sets none. A thinking model's thoughts
            take the first `generation.THINKING_TOKENS` of it: subtract them.
        default_tokens: The simulator's `--tokens`.
        also: `system`, `suffix`, `template`, `context`, `images` of a generate request.
    """
    count = default_tokens if num_predict is None else num_predict
    return "".join(islice(words(seed_of(kind, model, prompt, **also), prompt), count))


def expected_embedding(model: str, text: str, length: int) -> list[float]:
    """The vector, of Euclidean length 1, that the simulator answers for a text."""
    random = Random(seed_of("embed", model, text))
    vector = [random.uniform(-1, 1) for _ in range(length)]
    norm = sum(value * value for value in vector) ** 0.5
    return [round(value / norm, 8) for value in vector]


def count_tokens(prompt: object) -> int:
    """About how many tokens a prompt has: four bytes each, and a few for the template."""
    return 4 + len(_encode(prompt_text(prompt))) // 4


def _unseen(word: str, seen: set[str]) -> str:
    return next(f"{word}{n}" for n in range(len(seen) + 1) if f"{word}{n}" not in seen)


def _encode(text: str) -> bytes:
    # JSON may hold lone surrogates, which UTF-8 refuses.
    return text.encode("utf-8", "surrogatepass")
