"""Each way of going wrong, switched on from outside."""

import json
import re
import subprocess
import sys
import time
import urllib.error

import pytest

from ollama_client.simulator.answers import expected_text, prompt_sha256
from ollama_client.simulator.plan import THINKING_TOKENS
from tests.simulator_process import start_simulator
from tests.unit.simulator.asking import Exchange, ask, generate


def test_an_answer_is_the_expected_one(ollama):
    """The one that belongs to its prompt, by the same pure function."""
    answer = generate(ollama.port, "Why is the sky blue?", num_predict=30).finish()
    assert answer.text() == expected_text("generate", "llama3.2:1b", "Why is the sky blue?", 30)
    messages = [{"role": "user", "content": "hi"}]
    chat = Exchange(ollama.port, "/api/chat", {"model": "llama3.2:1b", "messages": messages}).finish()
    assert chat.text() == expected_text("chat", "llama3.2:1b", messages)


def test_a_thinking_model_thinks_first(ollama):
    """Its thoughts are counted in num_predict."""
    answer = generate(ollama.port, model="qwen3:0.6b", num_predict=20).finish()
    thoughts = [line["thinking"] for line in answer.lines() if "thinking" in line]
    assert len(thoughts) == THINKING_TOKENS
    assert answer.text() == expected_text("generate", "qwen3:0.6b", "hello", 20 - THINKING_TOKENS)


def test_a_stop_sequence_ends_the_answer(ollama):
    """And is not part of it."""
    third = expected_text("generate", "llama3.2:1b", "hello", 5).split()[3]
    answer = generate(ollama.port, num_predict=50, stop=[f" {third}"]).finish()
    assert answer.text() == expected_text("generate", "llama3.2:1b", "hello", 3)
    assert answer.lines()[-1]["done_reason"] == "stop"


def test_a_schema_is_kept_to(ollama):
    """The text is JSON of that shape."""
    wanted = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
    answer = generate(ollama.port, format=wanted).finish()
    assert json.loads(answer.text()) == {"city": "Paris"}


def test_tools_can_be_called_on_demand(ollama):
    """A switch turns each offer of tools into a call."""
    ollama.control(tool_calls=True)
    parameters = {"type": "object", "properties": {"city": {"const": "Rome"}}}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": parameters}}]
    body = {"model": "llama3.2:1b", "messages": [{"role": "user", "content": "hi"}], "tools": tools}
    lines = Exchange(ollama.port, "/api/chat", body).finish().lines()
    call = lines[0]["message"]["tool_calls"][0]["function"]
    assert (call["name"], call["arguments"]) == ("weather", {"city": "Rome"})


def test_a_hanging_model_leaves_the_tags_green(ollama):
    """No token comes, the server answers the rest."""
    ollama.control(hang=True)
    exchange = generate(ollama.port, job="hangs")
    ollama.wait_until(lambda: ollama.started(job="hangs"))
    assert ollama.call("GET", "/api/tags")["models"]
    assert ollama.state()["running"][-1]["tokens"] == 0
    ollama.control(hang=False)
    assert exchange.finish().lines()[-1]["done"] is True


def test_one_model_can_hang_after_some_tokens(ollama):
    """The others go on."""
    ollama.control(hang="other", hang_after_tokens=3)
    exchange = generate(ollama.port, model="other", num_predict=10, job="stalls")
    ollama.wait_until(lambda: any(r["tokens"] == 3 for r in ollama.state()["running"]))
    assert generate(ollama.port).finish().status == 200
    ollama.control(hang=False)
    assert exchange.finish().lines()[-1]["eval_count"] == 10


def test_http_500_comes_before_the_first_token(ollama):
    """With its real status, also when a stream was asked for."""
    ollama.control(fail_next={"kind": "http_500", "count": 2})
    assert generate(ollama.port).finish().status == 500
    assert "error" in generate(ollama.port, stream=False).finish().lines()[0]
    assert generate(ollama.port).finish().status == 200


def test_a_stream_error_is_the_last_line(ollama):
    """The status stays 200 and the body ends properly."""
    ollama.control(fail_next={"kind": "stream_error", "after_tokens": 4})
    answer = generate(ollama.port, num_predict=10, job="stream-error").finish()
    assert (answer.status, answer.is_terminated) == (200, True)
    assert len(answer.lines()) == 5
    assert list(answer.lines()[-1]) == ["error"]
    assert ollama.ended(job="stream-error")[-1]["outcome"] == "error"


def test_a_cut_connection_has_no_terminating_chunk(ollama):
    """What was sent before arrives."""
    ollama.control(fail_next=[{"kind": "cut", "after_tokens": 4}, {"kind": "cut"}])
    answer = generate(ollama.port, num_predict=10).finish()
    assert (answer.status, answer.is_terminated, len(answer.lines())) == (200, False, 4)
    assert generate(ollama.port, stream=False).finish().status == 0


def test_an_aborted_answer_ends_properly_without_done(ollama):
    """Neither success nor a broken connection."""
    ollama.control(fail_next={"kind": "abort_without_done", "count": 2, "after_tokens": 4})
    answer = generate(ollama.port, num_predict=10).finish()
    assert (answer.status, answer.is_terminated, len(answer.lines())) == (200, True, 4)
    assert not any(line["done"] for line in answer.lines())
    assert generate(ollama.port, num_predict=10, stream=False).finish().lines()[0]["done"] is False


def test_a_hung_request_leaves_with_its_client(ollama):
    """Its slot is free for the next."""
    ollama.control(hang=True)
    exchange = generate(ollama.port, job="leaves-hung")
    ollama.wait_until(lambda: ollama.started(job="leaves-hung"))
    exchange.close()
    ollama.wait_until(lambda: ollama.ended(job="leaves-hung"), 1.0)
    ollama.control(hang=False)
    assert generate(ollama.port).finish().status == 200


def test_a_full_queue_can_be_played(ollama):
    """For one model alone, if wanted; embeddings meet it too."""
    ollama.control(fail_next={"kind": "queue_full", "model": "all-minilm"})
    assert generate(ollama.port).finish().status == 200
    assert Exchange(ollama.port, "/api/embed", {"model": "all-minilm", "input": "a"}).finish().status == 503


def test_models_come_and_go(ollama):
    """A removed one is unloaded and unknown."""
    ollama.control(add_model="new-model:7b")
    assert generate(ollama.port, model="new-model:7b").finish().status == 200
    ollama.control(remove_model="new-model:7b")
    assert generate(ollama.port, model="new-model:7b").finish().status == 404
    assert "new-model:7b" not in [loaded["model"] for loaded in ollama.state()["loaded"]]


@pytest.mark.parametrize(
    "switches",
    [
        {"nope": 1},
        {"parallel": 1.5},
        {"max_loaded": 0},
        {"fail_next": {"kind": "nope"}},
        {"fail_next": [3]},
        {"fail_next": {"kind": "cut", "count": 0}},
        {"fail_next": {"kind": "cut", "after_tokens": -1}},
        {"add_model": 3},
        {"load_seconds": "x"},
    ],
)
def test_an_unknown_switch_is_refused(ollama, switches):
    """With 400: a test that mistypes must not pass."""
    with pytest.raises(urllib.error.HTTPError) as raised:
        ollama.control(**switches)
    assert raised.value.code == 400
    raised.value.close()


def test_switches_are_an_object(ollama):
    """A list of them is none."""
    assert ask(ollama.port, "POST", "/simulator/control", [1]) == (
        400,
        '{"error":"an object of switches is wanted"}',
    )


def test_no_failures_clear_those_that_were_to_come(ollama):
    """The next request is answered."""
    ollama.control(fail_next={"kind": "cut", "count": 9})
    assert ollama.control(fail_next=[])["failures"] == []
    assert generate(ollama.port).finish().status == 200


def test_to_remove_what_is_not_installed_is_nothing(ollama):
    """The models stay."""
    models = ollama.state()["models"]
    assert ollama.control(remove_model="nosuch")["models"] == models


def test_the_log_is_read_over_the_wire_too(ollama):
    """A JSON object a line, the latest last."""
    generate(ollama.port, job="over-the-wire").finish()
    status, body = ask(ollama.port, "GET", "/simulator/log")
    last = json.loads(body.splitlines()[-1])
    assert (status, last["job"], last["event"]) == (200, "over-the-wire", "end")


def test_a_model_that_repeats_itself_is_given_up(ollama):
    """200, whole or streamed, but never `done: true`."""
    wanted = {"const": "a" * 100}
    whole = generate(ollama.port, format=wanted, stream=False).finish()
    assert (whole.status, whole.lines()[0]["done"]) == (200, False)
    assert "eval_count" not in whole.lines()[0]
    streamed = generate(ollama.port, format=wanted).finish()
    assert (streamed.status, streamed.is_terminated) == (200, True)
    assert not any(line["done"] for line in streamed.lines())


def test_a_models_own_speed_goes_before_the_simulators(ollama):
    """tiny-slow takes about 4 ms a token, as the recorded one."""
    ollama.control(add_model="tiny-slow")
    answer = generate(ollama.port, model="tiny-slow", num_predict=6).finish().lines()[-1]
    ollama.control(remove_model="tiny-slow")
    assert answer["eval_duration"] > 5 * 3e6


@pytest.mark.parametrize(("top", "keys"), [(0, 3), (2, 4)])
def test_log_probabilities_come_with_each_token(ollama, top, keys):
    """Streamed with their token, whole in one list; alternatives where they are asked for."""
    asked = {"num_predict": 4, "logprobs": True, "top_logprobs": top}
    lines = generate(ollama.port, **asked).finish().lines()
    assert [len(line["logprobs"][0]) for line in lines[:-1]] == [keys] * 4
    assert "logprobs" not in lines[-1]
    (whole,) = generate(ollama.port, stream=False, **asked).finish().lines()
    assert [found["token"] for found in whole["logprobs"]] == [line["response"] for line in lines[:-1]]
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": "other", "messages": messages, "logprobs": True, "stream": False}
    (chat,) = Exchange(ollama.port, "/api/chat", body).finish().lines()
    assert len(chat["logprobs"]) == chat["eval_count"]


def test_a_raw_answer_has_no_context(ollama):
    """Any other generation ends with one, a token each of prompt and answer."""
    assert "context" not in generate(ollama.port, raw=True).finish().lines()[-1]
    last = generate(ollama.port).finish().lines()[-1]
    assert len(last["context"]) == last["prompt_eval_count"] + last["eval_count"]


def test_a_chat_shows_its_thoughts(ollama):
    """Under `thinking`, in one piece or a token a line."""
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": "qwen3:0.6b", "messages": messages, "options": {"num_predict": 15}}
    lines = Exchange(ollama.port, "/api/chat", body).finish().lines()
    thoughts = [line["message"]["thinking"] for line in lines if "thinking" in line["message"]]
    (whole,) = Exchange(ollama.port, "/api/chat", {**body, "stream": False}).finish().lines()
    assert len(thoughts) == THINKING_TOKENS
    assert whole["message"]["thinking"] == "".join(thoughts)


def test_the_log_has_hashes_and_no_prompts(ollama):
    """And the job's id if the request named one."""
    generate(ollama.port, "a secret thing", job="logged").finish()
    start, end = ollama.served(job="logged")
    assert start["prompt_sha256"] == prompt_sha256("a secret thing")
    assert (start["outcome"], end["outcome"], end["tokens"]) == (None, "done", 32)
    assert "secret" not in json.dumps(ollama.served())


def test_it_announces_itself_and_ends_at_once():
    """One line that a program can read; SIGTERM cuts what runs, as with Ollama."""
    with start_simulator("--tokens-per-second", "20", "--keep-alive", "-1") as ollama:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", ollama.url)
        exchange = generate(ollama.port, num_predict=1000)
        exchange.read_until(b"response")
        started = time.monotonic()
        ollama.stop()
        assert time.monotonic() - started < 2
        assert not exchange.finish().is_terminated
        assert ollama.ended()[-1]["outcome"] == "error"


def test_a_killed_simulator_starts_again_at_the_same_address():
    """With nothing loaded, as a server that came back; its log goes on."""
    with start_simulator() as ollama:
        generate(ollama.port).finish()
        url = ollama.url
        ollama.kill()
        ollama.start()
        assert ollama.url == url
        assert ollama.call("GET", "/api/ps")["models"] == []
        assert len(ollama.ended()) == 1


def test_a_taken_port_ends_it_with_one_line(ollama):
    """No traceback."""
    command = [sys.executable, "-m", "ollama_client.simulator", "--port", str(ollama.port)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1


def test_a_wrong_option_ends_it_with_one_line():
    """Status 2, and what was wrong."""
    command = [sys.executable, "-m", "ollama_client.simulator", "--keep-alive", "soon"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith('time: invalid duration "soon"')
