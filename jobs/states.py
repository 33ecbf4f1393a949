"""
The states of a job and the only ways between them.

A retry, a lost worker or an outage takes `processing` back to `pending`; a
final state is left only by an explicit retry, and `completed` never.
"""

from enum import StrEnum


class Status(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def is_complete(self) -> bool:
        return self in FINAL


TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.PROCESSING, Status.CANCELLED, Status.EXPIRED}),
    Status.PROCESSING: frozenset({Status.PENDING, Status.COMPLETED, Status.FAILED, Status.CANCELLED}),
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset({Status.PENDING}),
    Status.CANCELLED: frozenset({Status.PENDING}),
    Status.EXPIRED: frozenset({Status.PENDING}),
}

FINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})


def sources_of(target: Status) -> frozenset[Status]:
    """The states from which `target` can be reached in one step."""
    return frozenset(source for source, targets in TRANSITIONS.items() if target in targets)
