"""Moving a pending job to another priority: the row first, then the message in place of the old one."""

from jobs.instants import utc_now
from tasks.publishing import publish
from tasks.resources import get_resources


def move_job(job_id: str, priority: int) -> None:
    """
    Give a pending job another priority, as if it had been submitted with it.

    Raises:
        AlreadyComplete, NotPending: too late. JobNotFound: no such job.
    """
    resources = get_resources()
    publication = resources.service.change_priority(job_id, priority)
    if publication is None:
        return
    # One that is due by now has waited longer than whoever joins the most urgent list now.
    is_due = publication.due_at <= utc_now()
    publish(
        resources.round_trip,
        [publication],
        ageing_seconds=resources.settings.ageing_seconds,
        serve_next=is_due,
    )
