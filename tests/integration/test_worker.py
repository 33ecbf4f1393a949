"""Jobs through a real worker: what comes out, and how often it was generated."""

import time

import pytest

from jobs.errors import JobFailed, ModelNotInstalled
from jobs.models import Attempt
from jobs.states import Status
from ollama_client.simulator.answers import expected_text
from tasks import app, chat, embed, generate
from tasks.cancelling import cancel_job
from tests.integration.system import System, Worker, all_text, eventually

SECRET = "zyxquarkword"  # occurs in prompts only
pytestmark = pytest.mark.usefixtures("worker")


def test_a_prompt_is_answered_from_itself(system: System) -> None:
    """The text is the one that the model gives for this prompt, and it was generated once."""
    result = generate.delay("Why is the sky blue?", model="alpha", options={"num_predict": 6})
    answer = result.get(timeout=20)
    assert answer["text"] == expected_text("generate", "alpha", "Why is the sky blue?", 6)
    assert (answer["model"], answer["output_tokens"]) == ("alpha", 6)
    assert system.generated(result.id) == 1
    assert system.job(result.id).status == Status.COMPLETED


def test_a_chat_returns_its_message() -> None:
    """A conversation's answer is a message, and its content is the text."""
    answer = chat.delay([{"role": "user", "content": "hello"}], model="beta").get(timeout=20)
    assert answer["message"]["role"] == "assistant"
    assert answer["text"] == answer["message"]["content"] != ""


def test_texts_are_embedded() -> None:
    """Each text gets a vector."""
    answer = embed.delay(["one", "two"], model="gamma").get(timeout=20)
    assert len(answer["embeddings"]) == 2


def test_a_result_is_there_within_100_ms_of_completion(system: System) -> None:
    """`.get()` returns soon after the job's completion."""
    lags = []
    for number in range(5):
        result = generate.delay(f"quick {number}", model="alpha")
        result.get(timeout=20)
        returned = time.time()
        completed_at = system.job(result.id).completed_at
        assert completed_at is not None
        lags.append(returned - completed_at.timestamp())
    assert sorted(lags)[len(lags) // 2] < 0.1


def test_a_model_nobody_has_is_refused_at_once() -> None:
    """The error names what is installed, and nothing is written."""
    with pytest.raises(ModelNotInstalled, match="alpha, beta, gamma"):
        generate.delay("x", model="nosuch")


def test_a_job_without_a_model_gets_one_that_can_write(system: System) -> None:
    """An embedding model is never the default."""
    result = generate.delay("anything")
    assert result.get(timeout=20)["model"] in ("alpha", "beta")


def test_a_failing_job_uses_its_attempts_and_fails(system: System) -> None:
    """Ollama's errors are retried as often as allowed, and each is kept."""
    system.ollama.control(fail_next={"kind": "http_500", "count": 3})
    result = generate.delay("doomed", model="alpha")
    with pytest.raises(JobFailed, match="ollama_error"):
        result.get(timeout=30)
    with system.database.reading() as session:
        attempts = session.query(Attempt).filter_by(job_id=result.id).all()
    assert [attempt.code for attempt in attempts] == ["ollama_error"] * 3
    assert system.job(result.id).attempts == 3


def test_a_failed_attempt_is_followed_by_a_good_one(system: System) -> None:
    """One error in a stream costs one attempt and not the job."""
    system.ollama.control(fail_next={"kind": "stream_error", "count": 1, "after_tokens": 2})
    result = generate.delay("second time lucky", model="alpha")
    assert result.get(timeout=30)["text"] == expected_text("generate", "alpha", "second time lucky", 5)
    assert system.job(result.id).attempts == 1


@pytest.mark.parametrize("kind", ["cut", "queue_full"])
def test_an_outage_costs_no_attempt(system: System, kind: str) -> None:
    """A cut stream and a full queue send the job back, and it completes."""
    system.ollama.control(fail_next={"kind": kind, "count": 2})
    result = generate.delay(f"outage {kind}", model="alpha")
    assert result.get(timeout=30)["model"] == "alpha"
    assert system.job(result.id).attempts == 0


def test_a_given_up_generation_keeps_its_text(system: System) -> None:
    """An answer that ends without `done` fails at once, and what was written is kept."""
    system.ollama.control(fail_next={"kind": "abort_without_done", "count": 1, "after_tokens": 3})
    result = generate.delay("stammer", model="alpha")
    with pytest.raises(JobFailed, match="generation_aborted"):
        result.get(timeout=20)
    assert system.job(result.id).attempts == 1


def test_a_running_job_stops_generating_when_it_is_cancelled(system: System) -> None:
    """Ollama is rid of the request within a second."""
    system.ollama.control(tokens_per_second=20)
    try:
        result = generate.delay("long", model="alpha", options={"num_predict": 1000})
        eventually(lambda: system.ollama.started(job=result.id))
        cancel_job(result.id)
        gone = eventually(lambda: system.ollama.ended(job=result.id), within=1.0)
        assert gone[0]["outcome"] == "client_gone"
        assert result.state == "REVOKED"
    finally:
        system.ollama.control(tokens_per_second=0)


def test_a_timeout_fails_the_job(system: System) -> None:
    """`timeout_seconds` ends a job that runs longer, without another attempt."""
    system.ollama.control(tokens_per_second=20)
    try:
        result = generate.delay("slow", model="alpha", options={"num_predict": 1000}, timeout_seconds=0.5)
        with pytest.raises(JobFailed, match="total_timeout"):
            result.get(timeout=20)
    finally:
        system.ollama.control(tokens_per_second=0)


def test_prompts_stay_out_of_redis_and_logs(system: System, worker: Worker) -> None:
    """A word that only prompts have is in no key of Valkey and in no log."""
    with_link = generate.apply_async(
        (f"{SECRET} one",), {"model": "alpha"}, link=generate.s(f"{SECRET} two", model="beta")
    )
    waiting = generate.apply_async((f"{SECRET} three",), {"model": "alpha"}, countdown=60)
    with_link.get(timeout=20)
    failing = generate.delay(f"{SECRET} four", model="alpha", timeout_seconds=0.000_001)
    with pytest.raises(JobFailed):
        failing.get(timeout=20)
    assert SECRET not in all_text(system.redis)
    assert SECRET not in worker.log()
    waiting.revoke()


def test_a_foreign_process_submits_by_name(system: System) -> None:
    """`send_task` on the default queue becomes a job with the message's id."""
    result = app.send_task("tasks.generate", ("from afar",), {"model": "beta"})
    assert result.get(timeout=20)["text"] == expected_text("generate", "beta", "from afar", 5)
    assert system.job(result.id).priority == 5
