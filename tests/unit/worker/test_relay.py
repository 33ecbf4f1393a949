"""A job whose client is relayed the lines of its own route."""

import json
from typing import Any

import pytest
from celery.exceptions import Ignore

from jobs.errors import JobFailed
from jobs.states import Status
from jobs.wire import WireRequest
from ollama_client import errors
from tests.support.fake_ollama import FakeTransport
from tests.support.jobs import attempts, result, row
from tests.unit.worker.conftest import Worker
from worker import relay

PIECES = ({"response": "It "}, {"response": "scatters."})
FINAL = {"model": "alpha", "response": "", "done": True, "prompt_eval_count": 7, "eval_count": 2}


def _submit(worker: Worker, path: str = "/api/generate", **given: Any) -> str:
    body = given.pop("body", {"prompt": "Why?"})
    wire = WireRequest(path=path, body=body, **{"is_streamed": True, "is_live": True} | given)
    return worker.service.submit(wire, model="alpha", key_id="k1", task="tasks.generate").job_id


def _lines(worker: Worker, job_id: str) -> str:
    return "".join(data.get("raw", "") for _, data in worker.events(job_id))


def _done(worker: Worker, job_id: str) -> dict[str, Any]:
    kind, data = worker.events(job_id)[-1]
    assert kind == "done"
    return dict(data)


def _chunk(text: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
    delta = {"role": "assistant", "content": text, **more}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "alpha", "choices": [choice]}


def test_the_lines_of_an_answer_reach_its_client_as_they_came(worker: Worker) -> None:
    """Each once, each with its place; the last ones when the answer is stored."""
    worker.use(FakeTransport(*PIECES, FINAL))
    job_id = _submit(worker)
    worker.run(job_id)
    assert [json.loads(line) for line in _lines(worker, job_id).splitlines()] == [*PIECES, FINAL]
    events = [data for _, data in worker.events(job_id) if "raw" in data]
    assert [data["at"] for data in events] == [
        len("".join(before["raw"] for before in events[:number])) for number in range(len(events))
    ]
    assert _done(worker, job_id)["raw"] == json.dumps(FINAL) + "\n"
    assert worker.transport.calls[0]["body"] == {"prompt": "Why?", "model": "alpha"}


def test_the_row_has_the_same_answer(worker: Worker) -> None:
    """Text, counts, and Ollama's final object."""
    worker.use(FakeTransport(*PIECES, FINAL))
    job_id = _submit(worker)
    worker.run(job_id)
    stored, job = result(worker.service, job_id), row(worker.service, job_id)
    assert stored.result_data == "It scatters."
    assert stored.result == {**FINAL, "response": None}
    assert (job.status, job.prompt_tokens, job.output_tokens) == (Status.COMPLETED, 7, 2)


def test_an_answer_in_one_piece_tells_its_pieces_to_others_only(worker: Worker) -> None:
    """Whoever looks at the job sees the text grow; its client gets the whole."""
    worker.use(FakeTransport(*PIECES, FINAL))
    job_id = _submit(worker, is_streamed=False, is_live=False)
    worker.run(job_id)
    assert _lines(worker, job_id) == ""
    assert ("token", {"text": "It scatters."}) in worker.events(job_id)
    assert json.loads(_done(worker, job_id)["whole"]) == {**FINAL, "response": "It scatters."}


def test_a_long_answer_in_one_piece_is_left_to_the_row(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis is no store of answers."""
    monkeypatch.setattr(relay, "MAX_WHOLE_CHARS", 10)
    worker.use(FakeTransport(*PIECES, FINAL))
    job_id = _submit(worker, is_streamed=False, is_live=False)
    worker.run(job_id)
    assert _done(worker, job_id) == {"status": "completed"}


def test_an_openai_stream_ends_when_the_answer_is_stored(worker: Worker) -> None:
    """Finish and [DONE] come last; counts that nobody asked for don't."""
    counts = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    usage = {**_chunk(""), "choices": [], "usage": counts}
    worker.use(FakeTransport(_chunk("It "), _chunk("scatters."), _chunk("", "stop"), usage))
    job_id = _submit(worker, "/v1/chat/completions", body={"messages": []})
    worker.run(job_id)
    assert "usage" not in _lines(worker, job_id)
    assert _done(worker, job_id)["raw"].endswith("data: [DONE]\n\n")
    assert '"finish_reason": "stop"' in _done(worker, job_id)["raw"]
    stored = result(worker.service, job_id)
    assert stored.result_data == {"role": "assistant", "content": "It scatters."}
    assert stored.result["usage"] == counts
    assert row(worker.service, job_id).output_tokens == 2


def test_counts_are_relayed_where_they_were_asked_for(worker: Worker) -> None:
    """As OpenAI's stream_options say."""
    usage = {**_chunk(""), "choices": [], "usage": {"completion_tokens": 1}}
    worker.use(FakeTransport(_chunk("It"), _chunk("", "stop"), usage))
    body = {"messages": [], "stream_options": {"include_usage": True}}
    job_id = _submit(worker, "/v1/chat/completions", body=body)
    worker.run(job_id)
    assert '"usage"' in _done(worker, job_id)["raw"]


def test_embeddings_are_stored_and_told_whole(worker: Worker) -> None:
    """In the words of each of the three routes."""
    answers: dict[str, Any] = {
        "/api/embed": {"model": "alpha", "embeddings": [[1.0]]},
        "/api/embeddings": {"embedding": [1.0]},
        "/v1/embeddings": {
            "object": "list",
            "data": [{"object": "embedding", "embedding": [1.0], "index": 0}],
        },
    }
    worker.use(FakeTransport(answers=answers))
    for path, answer in answers.items():
        job_id = _submit(worker, path, is_streamed=False, is_live=False, body={"input": "x"})
        worker.run(job_id)
        assert result(worker.service, job_id).result_data == [[1.0]]
        assert json.loads(_done(worker, job_id)["whole"]) == answer


def test_a_refused_request_keeps_ollama_s_words(worker: Worker) -> None:
    """Status and body are the client's."""
    refusal = errors.BadRequest("no tools", status=400, body={"error": "no tools"})
    worker.use(FakeTransport(refusal))
    job_id = _submit(worker)
    with pytest.raises(JobFailed):
        worker.run(job_id)
    assert _done(worker, job_id)["error"] == {"status": 400, "body": {"error": "no tools"}}


@pytest.mark.parametrize(
    "error",
    [errors.StreamError("boom"), errors.ConnectionCut(), errors.BetweenTokensTimeout(), errors.Aborted()],
)
def test_a_client_that_has_lines_is_not_sent_them_again(worker: Worker, error: errors.OllamaError) -> None:
    """Whatever ended the run, it was the last: an error's line follows."""
    worker.use(FakeTransport(PIECES[0], error))
    job_id = _submit(worker)
    with pytest.raises(JobFailed):
        worker.run(job_id)
    assert row(worker.service, job_id).status == Status.FAILED
    assert len(attempts(worker.service, job_id)) == 1
    assert _done(worker, job_id)["error"]["body"] == {"error": str(error)}


@pytest.mark.parametrize("given", [{"is_live": False}, {"is_streamed": False, "is_live": False}])
def test_a_job_that_others_wait_for_is_tried_again(worker: Worker, given: dict[str, Any]) -> None:
    """Its client has gone, or has nothing yet."""
    worker.use(FakeTransport(PIECES[0], errors.StreamError("boom")))
    job_id = _submit(worker, **given)
    with pytest.raises(Ignore):
        worker.run(job_id)
    assert row(worker.service, job_id).status == Status.PENDING


def test_a_client_without_lines_may_wait_for_the_next_run(worker: Worker) -> None:
    """Nothing was sent, so nothing is sent twice."""
    worker.use(FakeTransport(errors.StreamError("boom")))
    job_id = _submit(worker)
    with pytest.raises(Ignore):
        worker.run(job_id)
    assert row(worker.service, job_id).status == Status.PENDING


@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_what_ollama_gave_up_is_answered_as_ollama_does(worker: Worker, path: str) -> None:
    """Without an end: status 200, and what there was."""
    native = {"model": "alpha", "message": {"role": "assistant", "content": "xx"}, "done": False}
    piece = native if path == "/api/chat" else _chunk("xx")
    worker.use(FakeTransport(piece, errors.GenerationAborted()))
    job_id = _submit(worker, path, body={"messages": []})
    with pytest.raises(JobFailed):
        worker.run(job_id)
    error = _done(worker, job_id)["error"]
    said = error["body"] if path == "/api/chat" else error["body"]["choices"][0]
    assert (error["status"], said["message"]["content"]) == (200, "xx")
    assert result(worker.service, job_id).result_data == "xx"


def test_time_that_ran_out_is_a_gateway_s(worker: Worker) -> None:
    """504 in the words of the route."""
    worker.use(FakeTransport(errors.TotalTimeout("too long")))
    job_id = _submit(worker, "/v1/chat/completions", body={"messages": []})
    with pytest.raises(JobFailed):
        worker.run(job_id)
    error = _done(worker, job_id)["error"]
    assert (error["status"], error["body"]["error"]["type"]) == (504, "api_error")
