"""The counts of a client."""

from concurrent.futures import ThreadPoolExecutor

from ollama_client.metrics import RequestCounter


def test_a_fresh_counter_is_healthy():
    """Before the first request the success rate is 100 percent."""
    assert RequestCounter().snapshot() == {
        "total_requests": 0,
        "successful_requests": 0,
        "failed_requests": 0,
        "success_rate": 100.0,
        "avg_response_time": 0.0,
    }


def test_rates_and_means():
    """Percent of all, seconds over those that worked."""
    counter = RequestCounter()
    for seconds in (1.0, 2.0, 3.0):
        counter.succeeded(seconds)
    counter.failed()
    snapshot = counter.snapshot()
    assert (snapshot["total_requests"], snapshot["failed_requests"]) == (4, 1)
    assert (snapshot["success_rate"], snapshot["avg_response_time"]) == (75.0, 2.0)


def test_threads_lose_no_counts():
    """Requests end in several threads at once."""
    counter = RequestCounter()
    with ThreadPoolExecutor(8) as executor:
        for _ in range(2000):
            executor.submit(counter.succeeded, 1.0)
            executor.submit(counter.failed)
    assert counter.snapshot()["total_requests"] == 4000
