"""
Database work that must not be lost to a database that is away for a while.

A child that let a database error out of a task's body would make Celery store
FAILURE over work that is finished. It keeps what it has and tries again.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from tenacity import Retrying, retry_if_exception_type, wait_exponential

_AWAY = (OperationalError, InterfaceError, PoolTimeout)
log = logging.getLogger(__name__)
Result = TypeVar("Result")


def persist(action: Callable[[], Result]) -> Result:
    """Do it, however long the database takes to come back; `action` must bear being repeated."""
    try:
        return action()  # as nearly always: the loop below would be a sixth of a claim
    except _AWAY:  # the error's text would quote the statement's values
        log.warning("the database does not answer; the job is kept until it does")
    return Retrying(retry=retry_if_exception_type(_AWAY), wait=wait_exponential(multiplier=0.1, max=1.0))(
        action
    )
