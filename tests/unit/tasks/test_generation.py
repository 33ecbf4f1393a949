"""One generation: the pieces on their way, and the answer as a whole."""

from typing import Any

import pytest

from ollama_client.errors import GenerationAborted, StreamError
from ollama_client.limits import Limits
from tasks.generation import Question, ask, figures_of, make_outcome
from tests.support.fake_ollama import FINAL, FakeTransport

LIMITS = Limits()


def _ask(transport: Any, kind: str = "generate", **given: Any) -> tuple[Any, list[tuple[str, str]]]:
    pieces: list[tuple[str, str]] = []
    given = given or {"prompt": "Why?"}
    outcome = ask(
        transport,
        Question(kind, "alpha", given, "j1"),
        limits=LIMITS,
        on_piece=lambda text, thinking: pieces.append((text, thinking)),
    )
    return outcome, pieces


def test_a_text_arrives_in_pieces_and_is_kept_whole() -> None:
    """What is empty is not told."""
    transport = FakeTransport({"response": "It "}, {"response": ""}, {"response": "scatters."}, FINAL)
    outcome, pieces = _ask(transport)
    assert pieces == [("It ", ""), ("scatters.", "")]
    assert outcome.result_data == "It scatters."
    assert outcome.result == {name: value for name, value in FINAL.items() if name != "response"}


def test_the_figures_of_an_answer() -> None:
    """Nanoseconds become seconds, and the speed is tokens by time."""
    outcome, _ = _ask(FakeTransport())
    assert (outcome.prompt_tokens, outcome.output_tokens) == (7, 2)
    assert (outcome.load_seconds, outcome.tokens_per_second) == (0.25, 4.0)
    assert outcome.processing_seconds >= 0
    assert figures_of(outcome) == {
        "prompt_tokens": 7,
        "output_tokens": 2,
        "tokens_per_second": 4.0,
        "load_seconds": 0.25,
        "processing_time": outcome.processing_seconds,
    }


@pytest.mark.parametrize(
    "final", [{}, {"eval_count": 0, "eval_duration": 5}, {"eval_count": 5, "eval_duration": 0}]
)
def test_what_ollama_does_not_say_is_not_known(final: dict[str, Any]) -> None:
    """No speed, rather than a wrong one or a division by zero."""
    outcome = make_outcome(final, final, "", 1.0)
    assert (outcome.tokens_per_second, outcome.load_seconds) == (None, None)


def test_the_last_piece_may_have_text() -> None:
    """As when a short answer comes in one."""
    outcome, pieces = _ask(FakeTransport(FINAL | {"response": "Yes."}))
    assert (outcome.result_data, pieces) == ("Yes.", [("Yes.", "")])


def test_thinking_is_told_apart() -> None:
    """It is no part of the text, and stands in Ollama's object as without streaming."""
    transport = FakeTransport(
        {"response": "", "thinking": "Hm"}, {"thinking": "m."}, {"response": "Blue."}, FINAL
    )
    outcome, pieces = _ask(transport)
    assert pieces == [("", "Hm"), ("", "m."), ("Blue.", "")]
    assert outcome.result_data == "Blue."
    assert outcome.result["thinking"] == "Hmm."


def test_log_probabilities_are_put_together() -> None:
    """Each piece brings its own."""
    transport = FakeTransport(
        {"response": "a", "logprobs": [{"token": "a"}]},
        {"response": "b", "logprobs": [{"token": "b"}]},
        FINAL,
    )
    outcome, _ = _ask(transport)
    assert outcome.result["logprobs"] == [{"token": "a"}, {"token": "b"}]


def test_a_message_is_put_together() -> None:
    """Its role, content, thinking and the calls of tools, from wherever they come."""
    calls = [{"function": {"name": "f"}}, {"function": {"name": "g"}}]
    final = {"message": {"role": "assistant", "content": ""}, "done": True, "eval_count": 1}
    transport = FakeTransport(
        {"message": {"role": "assistant", "content": "", "thinking": "Hm."}},
        {"message": {"role": "assistant", "content": "Let me "}},
        {"message": {"role": "assistant", "content": "look.", "tool_calls": calls[:1]}},
        {"message": {"content": "", "tool_calls": calls[1:], "images": ["aGk="]}},
        final,
    )
    outcome, pieces = _ask(transport, "chat", messages=[{"role": "user", "content": "Hi"}])
    assert pieces == [("", "Hm."), ("Let me ", ""), ("look.", "")]
    assert outcome.result_data == {
        "role": "assistant",
        "content": "Let me look.",
        "thinking": "Hm.",
        "tool_calls": calls,
        "images": ["aGk="],
    }
    assert outcome.result == {"done": True, "eval_count": 1}


def test_a_plain_message_has_nothing_more() -> None:
    """No empty thinking, no empty tool calls."""
    transport = FakeTransport({"message": {"role": "assistant", "content": "Hi"}}, {"done": True})
    assert _ask(transport, "chat", messages=[])[0].result_data == {"role": "assistant", "content": "Hi"}


def test_embeddings_come_at_once() -> None:
    """They are the answer's data, and there are no pieces."""
    answer = {"embeddings": [[0.5], [1.0]], "prompt_eval_count": 3, "load_duration": 10**9}
    transport = FakeTransport(answers={"/api/embed": answer})
    outcome, pieces = _ask(transport, "embed", input=["a", "b"])
    assert (outcome.result_data, pieces) == ([[0.5], [1.0]], [])
    assert outcome.result == {"prompt_eval_count": 3, "load_duration": 10**9}
    assert (outcome.load_seconds, outcome.prompt_tokens) == (1.0, 3)


def test_ollama_is_told_the_jobs_id() -> None:
    """Its log and the simulator's can be laid beside ours; without a job there is none to tell."""
    transport = FakeTransport()
    _ask(transport)
    ask(transport, Question("generate", "alpha", {"prompt": "Why?"}), limits=LIMITS)
    assert [call["headers"] for call in transport.calls] == [{"X-Job-ID": "j1"}, {}]
    assert [call["path"] for call in transport.calls] == ["/api/generate"] * 2


@pytest.mark.parametrize("error", [StreamError("boom"), GenerationAborted(text="It")])
def test_what_goes_wrong_reaches_the_caller(error: Exception) -> None:
    """After the pieces that had come."""
    pieces: list[str] = []
    with pytest.raises(type(error)):
        ask(
            FakeTransport({"response": "It"}, error),
            Question("generate", "alpha", {"prompt": "Why?"}),
            limits=LIMITS,
            on_piece=lambda text, _: pieces.append(text),
        )
    assert pieces == ["It"]


def test_a_question_does_not_show_its_prompt() -> None:
    """Tracebacks and logs show a repr."""
    assert "secret" not in repr(Question("generate", "alpha", {"prompt": "my secret"}))
