"""Which workers live, and what their Ollamas have."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.workers import (
    STALE_SECONDS,
    InstalledModel,
    WorkerReport,
    age_seconds,
    choose_default,
    forget_stale,
    installed_models,
    live_workers,
    report_worker,
    stale_workers,
    withdraw_worker,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def _report(
    name: str = "w1", *, age: float = 0.0, models: list[InstalledModel] | None = None
) -> WorkerReport:
    return WorkerReport(
        name=name,
        host="gpu",
        ollama_url="http://gpu:11434",
        ollama_healthy=True,
        concurrency=2,
        reported_at=(NOW - timedelta(seconds=age)).timestamp(),
        ollama_version="0.24.0",
        models=models or [],
    )


def test_a_report_comes_back_as_it_was(redis_client: Any) -> None:
    """Models and all."""
    report = _report(models=[InstalledModel("alpha", 5, can_complete=False, is_loaded=True)])
    report_worker(redis_client, report)
    assert live_workers(redis_client, now=NOW) == [report]


def test_a_worker_lives_as_long_as_it_reports(redis_client: Any) -> None:
    """One whose last report is too old is gone; the others are listed by name."""
    for name, age in (("w2", STALE_SECONDS), ("w1", 0.0), ("w3", STALE_SECONDS + 0.001)):
        report_worker(redis_client, _report(name, age=age))
    assert [report.name for report in live_workers(redis_client, now=NOW)] == ["w1", "w2"]
    assert stale_workers(redis_client, now=NOW) == ["w3"]


def test_the_last_report_counts(redis_client: Any) -> None:
    """A worker is listed once."""
    report_worker(redis_client, _report(age=4.0))
    report_worker(redis_client, _report())
    assert live_workers(redis_client, now=NOW) == [_report()]


def test_a_worker_that_stops_in_order_is_gone_at_once(redis_client: Any) -> None:
    """Nobody waits for its report to become old."""
    report_worker(redis_client, _report())
    withdraw_worker(redis_client, "w1")
    assert live_workers(redis_client, now=NOW) == []


def test_workers_that_are_long_gone_are_forgotten(redis_client: Any) -> None:
    """Their reports don't pile up."""
    report_worker(redis_client, _report("old", age=3601))
    report_worker(redis_client, _report("recent", age=3599))
    forget_stale(redis_client, now=NOW)
    assert redis_client.hkeys("paddock:workers") == ["recent"]


def test_the_models_of_all_workers() -> None:
    """A model that one of them has loaded counts as loaded."""
    cold, warm = InstalledModel("alpha", 5), InstalledModel("alpha", 5, is_loaded=True)
    other = InstalledModel("beta", 1)
    for order in ([cold, warm], [warm, cold]):
        workers = [_report("w1", models=[order[0], other]), _report("w2", models=[order[1]])]
        assert installed_models(workers) == {"alpha": warm, "beta": other}


@pytest.mark.parametrize(
    ("models", "chosen"),
    [
        ([], None),
        ([InstalledModel("embedder", 1, can_complete=False)], None),
        ([InstalledModel("big", 9), InstalledModel("small", 1)], "small"),
        ([InstalledModel("big", 9, is_loaded=True), InstalledModel("small", 1)], "big"),
        ([InstalledModel("b", 1), InstalledModel("a", 1)], "a"),
        (
            [InstalledModel("embedder", 1, can_complete=False, is_loaded=True), InstalledModel("big", 9)],
            "big",
        ),
    ],
)
def test_the_default_model(models: list[InstalledModel], chosen: str | None) -> None:
    """One that is loaded, else the smallest, and only one that can write."""
    assert choose_default(models) == chosen


def test_the_age_of_a_report() -> None:
    """In seconds."""
    assert age_seconds(_report(age=2.5), now=NOW) == pytest.approx(2.5)
