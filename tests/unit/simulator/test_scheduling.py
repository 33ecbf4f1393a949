"""Slots, loads, evictions and the queue, as measured at a real Ollama."""

import threading
import time

import pytest

from tests.unit.simulator.asking import Exchange, generate, in_background


def test_a_model_works_on_one_request_at_a_time(ollama):
    """One slot unless told otherwise; the next starts when the first ends."""
    ollama.control(tokens_per_second=100)
    before = len(ollama.served())
    exchanges = [generate(ollama.port, f"p{n}", num_predict=10) for n in range(3)]
    for exchange in exchanges:
        exchange.finish()
    assert [line["event"] for line in ollama.served()[before:]] == ["start", "end"] * 3


def test_slots_work_side_by_side(ollama):
    """Each at the full speed."""
    ollama.control(tokens_per_second=100, parallel=4)
    started = time.monotonic()
    exchanges = [generate(ollama.port, f"p{n}", num_predict=30, job="side") for n in range(4)]
    for exchange in exchanges:
        exchange.finish()
    assert time.monotonic() - started < 1.0
    assert {line["slot"] for line in ollama.started(job="side")} == {0, 1, 2, 3}


def test_waiting_for_a_slot_counts_in_the_total_only(ollama):
    """Neither load nor evaluation grows."""
    ollama.control(tokens_per_second=100)
    first = generate(ollama.port, num_predict=30)
    first.read_until(b"response")
    second = generate(ollama.port, num_predict=2, stream=False).finish().lines()[0]
    first.finish()
    assert second["total_duration"] > 200e6
    assert second["load_duration"] < 50e6
    assert second["eval_duration"] < 100e6


def test_a_load_takes_its_time_once(ollama):
    """The first request pays for it."""
    ollama.control(load_seconds=0.2)
    cold = generate(ollama.port, stream=False).finish().lines()[0]
    warm = generate(ollama.port, stream=False).finish().lines()[0]
    assert cold["load_duration"] > 190e6
    assert warm["load_duration"] < 50e6


def test_a_loading_model_is_not_listed_yet(ollama):
    """/api/ps names it once it is there."""
    ollama.control(load_seconds=0.3)
    exchange = generate(ollama.port)
    ollama.wait_until(lambda: ollama.state()["loaded"])
    assert ollama.call("GET", "/api/ps")["models"] == []
    exchange.finish()
    assert [m["name"] for m in ollama.call("GET", "/api/ps")["models"]] == ["llama3.2:1b"]


def test_another_context_length_reloads_the_model(ollama):
    """And back again costs a load as well."""
    ollama.control(load_seconds=0.1)
    loads = []
    for num_ctx in (1024, 1024, 2048):
        answer = generate(ollama.port, stream=False, num_ctx=num_ctx).finish().lines()[0]
        loads.append(answer["load_duration"] > 90e6)
    assert loads == [True, False, True]


def test_an_idle_model_makes_room(ollama):
    """Whatever keep_alive it had."""
    ollama.control(max_loaded=1)
    generate(ollama.port, keep_alive="1h").finish()
    assert generate(ollama.port, model="other").finish().status == 200
    assert [m["name"] for m in ollama.call("GET", "/api/ps")["models"]] == ["other:latest"]


def test_as_many_models_stay_loaded_as_there_is_room_for(ollama):
    """The one that was to stay the shortest goes for one more."""
    ollama.control(max_loaded=2)
    for model, keep_alive in (("llama3.2:1b", "1h"), ("other", "1m"), ("third", "2h")):
        generate(ollama.port, model=model, keep_alive=keep_alive).finish()
    assert [m["name"] for m in ollama.call("GET", "/api/ps")["models"]] == ["third:latest", "llama3.2:1b"]


def test_a_busy_model_is_waited_for(ollama):
    """Its generation is not cut short."""
    ollama.control(max_loaded=1, tokens_per_second=100)
    busy = generate(ollama.port, num_predict=40, job="busy")
    busy.read_until(b"response")
    generate(ollama.port, model="other", num_predict=1, job="waits").finish()
    assert ollama.ended(job="busy")[-1]["tokens"] == 40
    assert ollama.started(job="waits")[-1]["at"] >= ollama.ended(job="busy")[-1]["at"]
    busy.finish()


def test_requests_for_a_loaded_model_pass_those_that_wait_for_a_load(ollama):
    """Ollama's own order lets a busy model starve another."""
    ollama.control(max_loaded=1, tokens_per_second=100)
    first = generate(ollama.port, num_predict=30)
    first.read_until(b"response")
    waits = generate(ollama.port, model="other", num_predict=1, job="overtaken")
    ollama.wait_until(lambda: ollama.state()["waiting_for_load"] == ["other:latest"])
    generate(ollama.port, num_predict=10, job="overtakes").finish()
    waits.finish()
    first.finish()
    assert ollama.started(job="overtakes")[-1]["at"] < ollama.started(job="overtaken")[-1]["at"]


def test_a_keep_alive_of_its_own_holds_up_those_that_wait_for_room(ollama):
    """A request that re-arms a model about to go makes the queue wait its keep_alive out."""
    ollama.control(max_loaded=1, tokens_per_second=200)
    first = generate(ollama.port, num_predict=30)
    first.read_until(b"response")
    waits = generate(ollama.port, model="other", num_predict=1, job="held-up")
    ollama.wait_until(lambda: ollama.state()["waiting_for_load"])
    generate(ollama.port, num_predict=1, keep_alive="400ms", job="re-arms").finish()
    waits.finish()
    first.finish()
    idle_at = ollama.ended(job="re-arms")[-1]["at"]
    assert 0.35 < ollama.started(job="held-up")[-1]["at"] - idle_at < 1.5


def test_without_a_keep_alive_of_its_own_a_busy_model_goes_at_once(ollama):
    """The default of five minutes does not hold up the queue."""
    ollama.control(max_loaded=1, tokens_per_second=100)
    first = generate(ollama.port, num_predict=20)
    first.read_until(b"response")
    started = time.monotonic()
    generate(ollama.port, model="other", num_predict=1).finish()
    assert time.monotonic() - started < 1.5
    first.finish()


def test_the_queue_bounds_only_those_that_wait_for_a_load(ollama):
    """One in the loader's hands and max_queue more; requests for the loaded model are never refused."""
    ollama.control(max_loaded=1, max_queue=1, tokens_per_second=50)
    busy = generate(ollama.port, num_predict=100)
    busy.read_until(b"response")
    waiting = [generate(ollama.port, model=model, num_predict=1) for model in ("other", "third")]
    ollama.wait_until(lambda: len(ollama.state()["waiting_for_load"]) == 2)
    refused = generate(ollama.port, model="other", job="refused").finish()
    assert refused.status == 503
    assert refused.lines()[0]["error"].startswith("server busy, please try again.")
    assert ollama.ended(job="refused")[-1]["slot"] is None
    more = generate(ollama.port, num_predict=1, job="not-refused")
    busy.close()
    assert more.finish().status == 200
    assert [exchange.finish().status for exchange in waiting] == [200, 200]


def test_a_queued_request_leaves_with_its_client(ollama):
    """It never starts, and the next one does."""
    ollama.control(max_loaded=1, tokens_per_second=100)
    busy = generate(ollama.port, num_predict=50)
    busy.read_until(b"response")
    gone = generate(ollama.port, model="other", job="gone-from-queue")
    ollama.wait_until(lambda: ollama.state()["waiting_for_load"])
    gone.close()
    ollama.wait_until(lambda: not ollama.state()["waiting_for_load"])
    assert ollama.ended(job="gone-from-queue")[-1]["outcome"] == "client_gone"
    assert ollama.started(job="gone-from-queue") == []
    busy.close()


def test_a_load_is_aborted_with_its_client(ollama):
    """And room is made for the next."""
    ollama.control(load_seconds=30, max_loaded=1)
    gone = generate(ollama.port)
    ollama.wait_until(lambda: ollama.state()["loaded"])
    gone.close()
    ollama.wait_until(lambda: not ollama.state()["loaded"])
    ollama.control(load_seconds=0)
    assert generate(ollama.port, model="other").finish().status == 200


def test_those_that_share_an_aborted_load_load_anew(ollama):
    """Another's going does not fail them."""
    ollama.control(load_seconds=0.3)
    gone = generate(ollama.port)
    ollama.wait_until(lambda: ollama.state()["loaded"])
    stays = generate(ollama.port, job="stays")
    ollama.wait_until(lambda: ollama.state()["loaded"][0]["references"] == 2)
    gone.close()
    assert stays.finish().status == 200


@pytest.mark.parametrize("streams", [True, False])
def test_a_generation_stops_with_its_client(ollama, streams):
    """Within a token's time, streamed or not."""
    ollama.control(tokens_per_second=100)
    job = f"gone-{streams}"
    exchange = generate(ollama.port, num_predict=5000, stream=streams, job=job)
    ollama.wait_until(lambda: ollama.started(job=job))
    exchange.close()
    ollama.wait_until(lambda: ollama.ended(job=job), 1.0)
    end = ollama.ended(job=job)[-1]
    assert end["outcome"] == "client_gone"
    assert end["tokens"] < 100
    assert ollama.state()["running"] == []


def test_an_endless_answer_ends_with_its_client(ollama):
    """num_predict 0 has no end of its own."""
    exchange = generate(ollama.port, num_predict=0, job="endless")
    exchange.read_until(b"response")
    time.sleep(0.1)
    assert ollama.state()["running"]
    exchange.close()
    ollama.wait_until(lambda: ollama.ended(job="endless"), 2.0)


def test_a_client_that_stops_reading_holds_up_every_slot(ollama):
    """The other slot waits until it goes."""
    ollama.control(parallel=2)
    stuck = generate(ollama.port, num_predict=0, job="stuck", buffer=4096)
    tokens = [-1]

    def stopped_growing() -> bool:
        time.sleep(0.2)
        tokens.append(sum(running["tokens"] for running in ollama.state()["running"]))
        return tokens[-1] == tokens[-2]

    ollama.wait_until(stopped_growing, 15.0)
    other = generate(ollama.port, num_predict=3, job="held-by-stuck")
    reading = in_background(other)
    reading.join(0.3)
    assert reading.is_alive()
    stuck.close()
    reading.join(5)
    assert other.status == 200
    assert ollama.ended(job="held-by-stuck")[-1]["outcome"] == "done"


def test_keep_alive_zero_unloads_after_the_answer(ollama):
    """And without a prompt at once."""
    generate(ollama.port, keep_alive=0).finish()
    assert ollama.call("GET", "/api/ps")["models"] == []
    generate(ollama.port, keep_alive=-1).finish()
    assert ollama.call("GET", "/api/ps")["models"][0]["expires_at"] > "2300"
    unload = generate(ollama.port, prompt="", keep_alive=0).finish()
    assert unload.lines()[0]["done_reason"] == "unload"
    assert ollama.call("GET", "/api/ps")["models"] == []


def test_a_model_goes_when_its_keep_alive_is_over(ollama):
    """Counted from its last request's end."""
    generate(ollama.port, keep_alive="150ms").finish()
    assert ollama.call("GET", "/api/ps")["models"]
    ollama.wait_until(lambda: not ollama.call("GET", "/api/ps")["models"], 2.0)


def test_a_burst_for_two_models_is_served_whole(ollama):
    """However the loads fall, nobody is lost."""
    ollama.control(max_loaded=1, load_seconds=0.01, tokens_per_second=2000)
    exchanges = [
        generate(ollama.port, f"b{n}", model=("other", "third")[n % 2], num_predict=5) for n in range(30)
    ]
    threads = [in_background(exchange) for exchange in exchanges]
    for thread in threads:
        thread.join(10)
    assert [exchange.status for exchange in exchanges] == [200] * 30
    assert ollama.state()["waiting_for_load"] == []
    assert threading.active_count() < 30


def test_embeddings_take_a_slot(ollama):
    """They wait their turn like any other."""
    answer = Exchange(
        ollama.port, "/api/embed", {"model": "all-minilm", "input": ["a", "b"]}, job="emb"
    ).finish()
    assert [len(vector) for vector in answer.lines()[0]["embeddings"]] == [384, 384]
    assert [line["event"] for line in ollama.served(job="emb")] == ["start", "end"]
