"""How an answer ends, settled before its first token: by length, by itself, by a stop text or not at all."""

import json
from itertools import islice
from typing import Any

import pytest

from ollama_client.simulator.answers import count_tokens, expected_text
from ollama_client.simulator.ask import Ask
from ollama_client.simulator.errors import TOO_LONG, Refusal
from ollama_client.simulator.models import Model
from ollama_client.simulator.options import Options
from ollama_client.simulator.plan import THINKING_TOKENS, Plan, make_plan

CONTEXT = 64
PLAIN = Model("plain:latest", context_length=CONTEXT)
ENDING = Model("ending:latest", context_length=CONTEXT, ends_itself=True)
LONGEST_OF_ITS_OWN = 20 + 255
FORCED = Options(tool_calls=True)
WEATHER = {"type": "function", "function": {"name": "weather"}}
CALL = {"const": {"name": "weather", "parameters": {"city": "Rome"}}}


def planned(model: Model = PLAIN, simulated: Options | None = None, **fields: Any) -> Plan:
    """The plan of a request to generate, from "hello" unless another prompt is given."""
    ask = Ask("generate", "/api/generate", model.name, model, fields.pop("prompt", "hello"), **fields)
    return make_plan(ask, simulated or Options())


def text_of(plan: Plan) -> str:
    return "".join(piece.text for piece in plan.pieces)


@pytest.mark.parametrize(
    ("num_predict", "tokens", "reason"),
    [
        (5, 5, "length"),
        (7.9, 7, "length"),
        (-1, 10 * CONTEXT, "length"),
        (-2, 10 * CONTEXT, "length"),
        (None, 32, "stop"),
    ],
)
def test_num_predict_is_the_length(num_predict: float | None, tokens: int, reason: str) -> None:
    """Below 0 an answer stops at ten contexts, as measured; without it the model stops by itself."""
    plan = planned(options={"num_predict": num_predict})
    assert (len(list(plan.pieces)), plan.done_reason) == (tokens, reason)


def test_num_predict_0_has_no_end() -> None:
    """But a stop text ends it all the same."""
    assert len(list(islice(planned(options={"num_predict": 0}).pieces, 5000))) == 5000
    word = expected_text("generate", PLAIN.name, "hello", 8).split()[7]
    plan = planned(options={"num_predict": 0, "stop": [f" {word}"]})
    assert text_of(plan) == expected_text("generate", PLAIN.name, "hello", 7)
    assert plan.done_reason == "stop"


@pytest.mark.parametrize(
    ("stop", "text", "reason"),
    [
        (["never said"], 6, "length"),
        ([3, ""], 6, "length"),
        (["[simulated]"], 0, "stop"),
    ],
)
def test_only_a_stop_text_that_is_said_ends_the_answer(stop: list[Any], text: int, reason: str) -> None:
    """What is no text, or an empty one, is none."""
    plan = planned(options={"num_predict": 6, "stop": stop})
    assert text_of(plan) == (expected_text("generate", PLAIN.name, "hello", text) if text else "")
    assert plan.done_reason == reason


def test_a_stop_text_within_a_token_cuts_the_token() -> None:
    """What comes before it within the last token is still said."""
    whole = expected_text("generate", PLAIN.name, "hello", 6)
    plan = planned(options={"num_predict": 6, "stop": [whole[-2:]]})
    assert text_of(plan) == whole[: whole.index(whole[-2:])]
    assert plan.done_reason == "stop"


def test_a_model_that_ends_itself_does_so_within_any_limit_above() -> None:
    """And a lower limit is kept."""
    short = planned(ENDING, options={"num_predict": 3})
    assert (len(list(short.pieces)), short.done_reason) == (3, "length")
    lengths = set()
    for limit in (0, -1, 600):
        plan = planned(ENDING, options={"num_predict": limit})
        lengths.add(len(list(plan.pieces)))
        assert plan.done_reason == "stop"
    assert len(lengths) == 1
    assert 20 <= lengths.pop() <= LONGEST_OF_ITS_OWN


@pytest.mark.parametrize("num_predict", [None, 0, 1000])
def test_without_shifting_the_context_is_the_limit(num_predict: int | None) -> None:
    """`shift: false` ends with the context; a lower limit is kept."""
    plan = planned(options={"num_predict": num_predict}, shifts=False)
    assert (len(list(plan.pieces)), plan.done_reason) == (CONTEXT - count_tokens("hello"), "length")
    assert len(list(planned(options={"num_predict": 4}, shifts=False).pieces)) == 4


def test_thoughts_come_first_and_count() -> None:
    """Out of the same limit."""
    plan = planned(thinks=True, options={"num_predict": THINKING_TOKENS + 2})
    kinds = [piece.is_thinking for piece in plan.pieces]
    assert kinds == [True] * THINKING_TOKENS + [False] * 2


def test_a_prompt_beyond_the_context_is_cut_or_refused() -> None:
    """As `truncate` says."""
    prompt = "word " * 500
    assert planned(prompt=prompt).prompt_tokens == CONTEXT
    with pytest.raises(Refusal, match=TOO_LONG) as raised:
        planned(prompt=prompt, truncates=False)
    assert raised.value.status == 400


def test_json_is_cut_by_the_limit() -> None:
    """Ollama does not finish a shape beyond num_predict."""
    whole = planned(format="json")
    assert (json.loads(text_of(whole))["simulated"], whole.done_reason) == (True, "stop")
    cut = planned(format="json", options={"num_predict": 2})
    assert (len(list(cut.pieces)), cut.done_reason) == (2, "length")


def test_an_answer_that_repeats_itself_is_given_up() -> None:
    """After a token and its 30 repeats, as recorded; not where the limit comes first."""
    wanted = {"const": "a" * 100}
    plan = planned(format=wanted)
    assert (text_of(plan), plan.gives_up) == ('"' + "a" * 31, True)
    assert not planned(format=wanted, options={"num_predict": 10}).gives_up


@pytest.mark.parametrize("wanted", [{"enum": 3}, {"anyOf": 3}, {"type": "array", "minItems": "x"}])
def test_a_schema_that_is_none_is_refused(wanted: dict[str, Any]) -> None:
    """Ollama's runner can't build a grammar of it: 500."""
    with pytest.raises(Refusal, match="invalid JSON schema in format") as raised:
        planned(format=wanted)
    assert raised.value.status == 500


def test_json_that_names_a_tool_is_a_call() -> None:
    """Ollama reads a call out of the text."""
    (call,) = planned(format=CALL, tools=[WEATHER]).tool_calls or [{}]
    assert call["function"] == {"index": 0, "name": "weather", "arguments": {"city": "Rome"}}


@pytest.mark.parametrize(
    ("wanted", "tools"),
    [
        (CALL, None),
        (CALL, [{"type": "function", "function": {"name": "other"}}]),
        ({"const": {"name": "weather", "parameters": "Rome"}}, [WEATHER]),
        ({"const": ["weather"]}, [WEATHER]),
    ],
)
def test_other_json_is_no_call(wanted: dict[str, Any], tools: list[Any] | None) -> None:
    """No tool of that name, no arguments, no object: plain text."""
    plan = planned(format=wanted, tools=tools)
    assert plan.tool_calls is None
    assert json.loads(text_of(plan)) == wanted["const"]


def test_a_call_is_forced_only_where_there_is_a_tool() -> None:
    """What is no function is passed over."""
    (call,) = planned(simulated=FORCED, tools=[{}, WEATHER]).tool_calls or [{}]
    assert (call["function"]["name"], call["function"]["arguments"]) == ("weather", {})
    none = planned(simulated=FORCED, tools=[{"function": {}}, 3])
    assert none.tool_calls is None
    assert text_of(none) == expected_text("generate", PLAIN.name, "hello", 32)
