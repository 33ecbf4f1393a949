"""What the caller's key allows a request that submits a job."""

from typing import TypeVar

from flask import Response, after_this_request

from api.database import get_database
from api.late import get_resources
from api.rate_limits import check_rate, check_tokens
from jobs.errors import ModelNotAllowed, TooManyPending
from jobs.key_limits import KeyLimits
from jobs.keys import Caller
from jobs.queries import count_pending
from jobs.requests import SubmitJob
from jobs.wire import WireRequest

Request = TypeVar("Request", SubmitJob, WireRequest)


def within_limits(request: Request, asking: Caller) -> Request:
    """
    The request as the key may make it; the response says in X-Priority what that is.

    Raises:
        ModelNotAllowed, TooManyPending, TooManyRequests: it may not make it, or not now.
        ModelNotInstalled, NoModel: the key's models are limited, and none can be chosen.
    """
    limits = asking.limits
    model = _allowed_model(request.model, limits)
    if limits.requests_per_minute is not None:
        check_rate(asking.key_id, limits.requests_per_minute)
    if limits.tokens_per_minute is not None:
        check_tokens(asking.key_id, limits.tokens_per_minute)
    if limits.max_pending is not None:
        _check_pending(asking.key_id, limits.max_pending)
    asked = request.priority if "priority" in request.model_fields_set else None
    return request.model_copy(update={"model": model, "priority": allowed_priority(asked, asking)})


def allowed_priority(asked: int | None, asking: Caller) -> int:
    """What the key gets of the priority that it asks for; the response says so in X-Priority."""
    priority = asking.limits.priority_of(asked)
    _tell_priority(priority)
    return priority


def _allowed_model(name: str | None, limits: KeyLimits) -> str | None:
    """The model, chosen here if the key's are limited: what it would be later may be none of them."""
    allowed = limits.allowed_models
    if allowed is None:
        return name
    model = name or get_resources().catalog.resolve(None)
    if model not in allowed:
        raise ModelNotAllowed(model, allowed)
    return model


def _check_pending(key_id: str, at_most: int) -> None:
    """Counted and not reserved: submits at the same moment may exceed it by their number."""
    with get_database().reading() as session:
        pending = count_pending(session, at_most=at_most, key_id=key_id)
    if pending >= at_most:
        raise TooManyPending(f"{at_most} jobs of this key are pending, as many as it may have.")


def _tell_priority(priority: int) -> None:
    @after_this_request
    def tell(response: Response) -> Response:
        response.headers["X-Priority"] = str(priority)
        return response
