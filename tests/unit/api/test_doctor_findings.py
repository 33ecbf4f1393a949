"""What the facts about an installation mean."""

from datetime import timedelta
from typing import Any

import pytest

from api.doctor.findings import Facts, Finding, examine, ollama_parallel, recommended
from jobs.workers import WorkerReport
from ollama_client.throughput import Throughput
from tests.support.jobs import NOW

GOOD_REDIS = {"aof_enabled": 1, "maxmemory": 0, "maxmemory_policy": "noeviction"}


def worker(name: str = "w1", host: str = "gpu", *, healthy: bool = True) -> WorkerReport:
    return WorkerReport(name, host, "http://gpu:11434", healthy, 4, 0.0)


def curve(*points: tuple[int, float, int]) -> list[Throughput]:
    """Of (at once, tokens a second, ran at once)."""
    return [Throughput(at_once, tokens, 1.0, 0.1, ran) for at_once, tokens, ran in points]


FOUR = curve((1, 10, 1), (2, 20, 2), (4, 40, 4), (8, 40, 4), (16, 40, 4))


def loaded(**values: Any) -> dict[str, Any]:
    expires_at = (NOW + timedelta(minutes=5)).isoformat()
    return {"size": 100, "size_vram": 100, "expires_at": expires_at} | values


def facts(**values: Any) -> Facts:
    known: dict[str, Any] = {
        "model": "alpha",
        "now": NOW,
        "concurrency": 4,
        "workers": [worker()],
        "loaded": loaded(),
        "curve": FOUR,
        "redis": GOOD_REDIS,
    }
    return Facts(**(known | values))


def wrong(**values: Any) -> list[Finding]:
    return [finding for finding in examine(facts(**values)) if not finding.is_good]


def test_an_installation_that_is_as_it_should_be() -> None:
    """Everything was looked at, and nothing is wrong."""
    found = examine(facts())
    assert {finding.name for finding in found} == {"workers", "slots", "memory", "keep-alive", "database"}
    assert wrong() == []
    assert not any(finding.remedy for finding in found)


@pytest.mark.parametrize(
    ("values", "name", "said"),
    [
        ({"workers": []}, "workers", "No worker"),
        ({"workers": [worker(healthy=False)]}, "workers", "w1"),
        ({"concurrency": 8}, "slots", "inside Ollama"),
        ({"concurrency": 2}, "slots", "Ollama runs 4"),
        ({"concurrency": 1, "curve": curve((1, 10, 1), (2, 20, 2))}, "slots", "2 give more"),
        ({"loaded": loaded(size_vram=60)}, "memory", "40%"),
        ({"loaded": loaded(expires_at=(NOW + timedelta(seconds=10)).isoformat())}, "keep-alive", "10 s"),
        ({"loading_share": 0.4, "job_models": 3}, "loading", "40% of their time on loading 3 models"),
        ({"workers": [worker(), worker("w2", "other")]}, "database", "gpu, other"),
        ({"redis": None}, "redis", "does not answer"),
        ({"redis": GOOD_REDIS | {"aof_enabled": 0}}, "redis", "on the disk"),
        (
            {"redis": GOOD_REDIS | {"maxmemory": 1000, "maxmemory_policy": "allkeys-lru"}},
            "redis",
            "allkeys-lru",
        ),
    ],
)
def test_what_slows_people_down_is_told_with_a_remedy(values: dict[str, Any], name: str, said: str) -> None:
    """One finding, that names it and what to do."""
    (finding,) = wrong(**values)
    assert finding.name == name
    assert said in finding.message
    assert finding.remedy


@pytest.mark.parametrize(
    "values",
    [
        {"loaded": loaded(size_vram=0)},
        {"loaded": None},
        {"loaded": {"size": 0}},
        {"loaded": loaded(expires_at="soon")},
        {"curve": []},
        {"loading_share": 0.05, "job_models": 2},
        {"loading_share": 0.5, "job_models": 1},
        {"workers": [worker(), worker("w2", "other")], "is_sqlite": False},
        {"redis": GOOD_REDIS | {"maxmemory_policy": "allkeys-lru"}},
    ],
)
def test_what_is_no_fault(values: dict[str, Any]) -> None:
    """A machine without a GPU, what was not measured, a policy without a limit."""
    assert wrong(**values) == []


def test_the_limit_of_loaded_models_is_named_where_it_is_known() -> None:
    """As whoever set it calls it."""
    (finding,) = wrong(loading_share=0.4, job_models=3, max_loaded_models="1")
    assert "OLLAMA_MAX_LOADED_MODELS=1" in finding.message


def test_how_many_ollama_runs_at_once() -> None:
    """Known once more were asked than it ran."""
    assert ollama_parallel(FOUR) == 4
    assert ollama_parallel(curve((1, 10, 1), (2, 20, 2))) is None
    assert ollama_parallel([]) is None
    assert (recommended(FOUR), recommended([])) == (4, None)
