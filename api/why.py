"""What a job waits for, as the API answers it."""

import redis

from api.late import get_resources
from api.schemas import ReasonAnswer, Slots, WaitRange, WhyAnswer
from jobs.instants import utc_now
from jobs.models import Job
from jobs.positions import POSITION_CAP
from jobs.reasons import explain, slots
from jobs.scheduling import Estimate
from jobs.states import Status


def explain_wait(job: Job, queue_position: int | None) -> WhyAnswer:
    """The answer about a job, with the present as it was within the last second."""
    forecaster, now = get_resources().forecaster, utc_now()
    present = forecaster.present()
    is_capped = queue_position is not None and queue_position >= POSITION_CAP
    at_least = None if queue_position is None else forecaster.estimate_for(job.model, queue_position, now=now)
    reasons = explain(
        job, present, ahead=queue_position, estimate=at_least, is_broker_up=_is_broker_up(), now=now
    )
    total, busy = slots(job.model, present)
    return WhyAnswer(
        job_id=job.id,
        status=Status(job.status),
        queue_position=queue_position,
        position_capped=is_capped,
        model_loads_ahead=None if at_least is None or is_capped else at_least.loads,
        slots=Slots(total=total, busy=busy),
        estimated_wait=_range(at_least, is_capped=is_capped),
        reasons=[ReasonAnswer(code=reason.code, message=reason.message) for reason in reasons],
    )


def _range(estimate: Estimate | None, *, is_capped: bool) -> WaitRange:
    """Behind more jobs than are counted, only the lower end is known."""
    if estimate is None:
        return WaitRange(seconds=None, low=None, high=None)
    low = round(estimate.low, 3)
    if is_capped:
        return WaitRange(seconds=None, low=low, high=None)
    return WaitRange(seconds=round(estimate.seconds, 3), low=low, high=round(estimate.high, 3))


def _is_broker_up() -> bool:
    try:
        return bool(get_resources().redis.ping())
    except redis.RedisError:
        return False
