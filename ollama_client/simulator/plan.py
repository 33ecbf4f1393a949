"""What a request's answer will be, before the first token is made."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from random import Random
from typing import Any, NamedTuple

from ollama_client.simulator import answers, go_json, schema
from ollama_client.simulator.ask import Ask
from ollama_client.simulator.errors import TOO_LONG, Refusal
from ollama_client.simulator.options import Options
from ollama_client.simulator.validation import check_format

THINKING_TOKENS = 12
"""Length of a thinking model's thoughts; they come first out of `num_predict`."""

_TOKEN = re.compile(r"\s*\w{1,6}|\s*.", re.DOTALL)
_MOST_REPEATS = 30
_SEARCHED_TOKENS = 100_000
"""Stop sequences are looked for up to here; a made-up text that has none by then never will."""
_ENDLESS_IS_10_CONTEXTS = 10


class Piece(NamedTuple):
    """One token."""

    text: str
    is_thinking: bool = False


@dataclass(slots=True)
class Plan:
    """An answer's tokens and how it ends."""

    pieces: Iterator[Piece]
    done_reason: str
    seed: bytes
    prompt_tokens: int
    tool_calls: list[dict[str, Any]] | None = None
    """Sent in one piece at the end; the tokens are then counted but not sent."""
    gives_up: bool = False
    """Ollama's answer to a model that repeats itself: it ends without `done: true`."""


def make_plan(ask: Ask, options: Options) -> Plan:
    """
    Raises:
        Refusal: The format is wrong, or the prompt is too long and may not be cut.
    """
    check_format(ask.format)
    prompt_tokens = answers.count_tokens(ask.prompt)
    if prompt_tokens > ask.num_ctx and not ask.truncates:
        raise Refusal(400, TOO_LONG, from_runner=True)
    seed = answers.seed_of(ask.kind, ask.model.name, ask.prompt, **ask.also)
    plan = Plan(iter(()), "length", seed, min(prompt_tokens, ask.num_ctx))
    limit = _limit(ask, plan.prompt_tokens)
    forced = _forced_call(ask, seed) if options.tool_calls else None
    if forced is not None or ask.format:
        _fill_with_json(plan, ask, forced, limit)
    else:
        _fill_with_words(plan, ask, limit, options.tokens)
    return plan


def _limit(ask: Ask, prompt_tokens: int) -> int | None:
    """The most tokens allowed; -1 stands for no end at all, None for no wish."""
    limit = ask.num_predict
    if limit is not None:
        # Measured: 0 runs on without end, below 0 stops at ten contexts.
        limit = -1 if limit == 0 else _ENDLESS_IS_10_CONTEXTS * ask.num_ctx if limit < 0 else limit
    if not ask.shifts:
        room = max(ask.num_ctx - prompt_tokens, 1)
        limit = room if limit is None or limit < 0 else min(limit, room)
    return limit


def _fill_with_words(plan: Plan, ask: Ask, limit: int | None, default_tokens: int) -> None:
    thoughts = THINKING_TOKENS if ask.thinks else 0
    count = limit
    if count is None:
        count, plan.done_reason = thoughts + default_tokens, "stop"
    own = 20 + plan.seed[0]
    if ask.model.ends_itself and not 0 <= count <= own:
        count, plan.done_reason = own, "stop"
    plan.pieces = _words(plan.seed, ask, thoughts)
    if count >= 0:
        plan.pieces = islice(plan.pieces, count)
    _apply_stops(plan, ask.options.get("stop"))


def _words(seed: bytes, ask: Ask, thoughts: int) -> Iterator[Piece]:
    thought = islice(answers.words(seed + b"thinking", ask.prompt), thoughts)
    return chain(
        (Piece(word, is_thinking=True) for word in thought), map(Piece, answers.words(seed, ask.prompt))
    )


def _apply_stops(plan: Plan, stops: list[Any] | None) -> None:
    if not stops:
        return
    pieces = list(islice(plan.pieces, _SEARCHED_TOKENS))
    text = "".join(piece.text for piece in pieces)
    at = min(
        (found for stop in stops if isinstance(stop, str) and stop and (found := text.find(stop)) >= 0),
        default=None,
    )
    if at is not None:
        plan.done_reason = "stop"
        pieces = list(_cut(pieces, at))
        plan.pieces = iter(())
    plan.pieces = chain(pieces, plan.pieces)


def _cut(pieces: list[Piece], length: int) -> Iterator[Piece]:
    for piece in pieces:
        if length <= 0:
            return
        yield piece._replace(text=piece.text[:length])
        length -= len(piece.text)


def _fill_with_json(plan: Plan, ask: Ask, forced: dict[str, Any] | None, limit: int | None) -> None:
    random = Random(plan.seed)
    if forced is not None:
        value: Any = forced
    elif ask.format == "json":
        value = schema.any_object(random)
    else:
        value = _instance(ask.format, random)
    texts = list(_tokens(go_json.dumps(value)))
    kept = list(_until_repeats(texts))
    plan.gives_up = len(kept) < len(texts)
    if limit is not None and 0 <= limit <= len(kept):
        kept, plan.gives_up = kept[:limit], False
    else:
        plan.done_reason = "stop"
        plan.tool_calls = _as_call(value, ask, plan.seed)
    plan.pieces = iter([Piece(text) for text in kept])


def _instance(wanted: object, random: Random) -> Any:
    try:
        return schema.instance(wanted, random)
    except (AttributeError, IndexError, TypeError, ValueError):
        raise Refusal(500, "invalid JSON schema in format", from_runner=True) from None


def _tokens(text: str) -> Iterator[str]:
    for token in _TOKEN.findall(text):
        # Runs of one character come singly, so that a long one looks like a model gone astray.
        yield from token if len(set(token)) == 1 else (token,)


def _until_repeats(texts: list[str]) -> Iterator[str]:
    last, repeats = None, 0
    for text in texts:
        repeats = repeats + 1 if text == last else 0
        last = text
        if repeats > _MOST_REPEATS:
            return
        yield text


def _as_call(value: Any, ask: Ask, seed: bytes) -> list[dict[str, Any]] | None:
    """The tool call that an answer is, if it names one of the tools with arguments."""
    if not ask.tools or not isinstance(value, dict):
        return None
    arguments = value.get("parameters", value.get("arguments"))
    if value.get("name") not in {tool["name"] for tool in _functions(ask)} or not isinstance(arguments, dict):
        return None
    call = {"index": 0, "name": value["name"], "arguments": arguments}
    return [{"id": f"call_{seed.hex()[:8]}", "function": call}]


def _forced_call(ask: Ask, seed: bytes) -> dict[str, Any] | None:
    for function in _functions(ask):
        arguments = schema.instance(function.get("parameters") or {"type": "object"}, Random(seed))
        return {"name": function["name"], "parameters": arguments}
    return None


def _functions(ask: Ask) -> list[dict[str, Any]]:
    tools = (tool.get("function") for tool in ask.tools or () if isinstance(tool, dict))
    return [function for function in tools if isinstance(function, dict) and "name" in function]
