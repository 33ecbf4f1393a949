"""Lifts the jobs that have become due for a more urgent level."""

from jobs.instants import utc_now
from jobs.queries import known_models
from tasks.ageing import lift_due
from worker.keeper.keeper import Keeper


def run_once(keeper: Keeper) -> int:
    """One sweep over every model's queue; returns how many jobs were lifted."""
    with keeper.service.database.reading() as session:
        models = [model.name for model in known_models(session)]
    return lift_due(keeper.redis, models, ageing_seconds=keeper.settings.ageing_seconds, now=utc_now())
