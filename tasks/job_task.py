"""
The task class of every job: row first, message second.

`apply_async` here, in a chain, or behind the REST API is one path. The function
under the decorator only turns its arguments into a request; running is the
worker's, which registers itself as `JobTask.runner`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from celery import Task, uuid
from celery.result import AsyncResult

from jobs.errors import InvalidRequest, JobFailed
from jobs.idempotency import Once
from jobs.instants import utc_now
from jobs.keys import LOCAL_KEY_ID
from jobs.records import Submitted
from jobs.requests import JobRequest, SubmitJob, validate_submit
from tasks import canvas
from tasks.publishing import publish
from tasks.resources import get_resources


class JobTask(Task):
    abstract = True
    throws = (JobFailed,)  # an outcome and no accident: logged in one line
    service_name: ClassVar[str | None] = None  # of a service's task: `service` on its jobs
    # The worker's way to run what a message names; unset elsewhere.
    runner: ClassVar[Callable[["JobTask", tuple[Any, ...], dict[str, Any]], Any] | None] = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run: as a job in a worker; on the spot when called directly, eagerly or by `apply()`."""
        if self.request.called_directly or self.request.is_eager or JobTask.runner is None:
            from tasks.inline import run_inline  # needs the Ollama client, which submitting does not

            return run_inline(self.build_request(args, kwargs))
        return JobTask.runner(self, args, kwargs)

    def apply_async(  # noqa: PLR0917 - Celery's own signature
        self,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        producer: Any = None,
        link: Any = None,
        link_error: Any = None,
        shadow: str | None = None,
        **options: Any,
    ) -> AsyncResult:
        """
        Write the job and publish it; Celery's options mean what Celery documents.

        Queue names and retry policies are not needed and not looked at: the model is the
        queue, and a publication that fails is repeated by the keeper.

        Raises:
            InvalidRequest, ModelNotInstalled, NoModel: nothing has been written.
        """
        if self.app.conf.task_always_eager:
            eager = {"link": link, "link_error": link_error, **options}
            return self.apply(args, kwargs, task_id=task_id or uuid(), **eager)
        job_id = task_id or uuid()
        request = self.build_request(tuple(args or ()), dict(kwargs or {}), options)
        headers = options.get("headers") or {}
        self.submit(
            request,
            job_id=job_id,
            key_id=headers.get("key_id", LOCAL_KEY_ID),
            packed_canvas=canvas.pack(job_id, link, link_error, options),
            delay_seconds=_delay_seconds(options),
        )
        result = self.AsyncResult(job_id)
        parent = self.app.current_worker_task
        if parent is not None and options.get("add_to_parent", True):
            parent.add_trail(result)
        return result

    def build_request(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], options: Mapping[str, Any] | None = None
    ) -> SubmitJob:
        """
        A checked request from a call's arguments and options.

        Raises:
            InvalidRequest: names what is wrong.
        """
        options = options or {}
        try:
            values = self.run(*args, **kwargs)
        except TypeError as error:
            raise InvalidRequest(str(error)) from None
        values = {name: value for name, value in values.items() if value is not None}
        if options.get("priority") is not None:
            values["priority"] = options["priority"]
        if options.get("expires") is not None:
            values["deadline_seconds"] = _seconds_until(options["expires"])
        return validate_submit(values)

    def submit(
        self,
        request: JobRequest,
        *,
        key_id: str,
        job_id: str | None = None,
        packed_canvas: dict[str, Any] | None = None,
        delay_seconds: float = 0.0,
        service: str | None = None,
        once: Once | None = None,
        durable: bool = True,
    ) -> Submitted:
        """Write the job and publish it; it is accepted when this returns, published or not."""
        resources = get_resources()
        submitted = resources.service.submit(
            request,
            model=resources.catalog.resolve(request.model),
            key_id=key_id,
            task=self.name,
            job_id=job_id,
            service=service or self.service_name,
            canvas=packed_canvas,
            has_successors=canvas.has_successors(packed_canvas),
            delay_seconds=delay_seconds,
            once=once,
            durable=durable,
        )
        if submitted.publication is not None:
            ageing_seconds = resources.settings.ageing_seconds
            publish(resources.round_trip, [submitted.publication], ageing_seconds=ageing_seconds)
        return submitted


def _delay_seconds(options: Mapping[str, Any]) -> float:
    if options.get("countdown") is not None:
        return float(options["countdown"])
    return _seconds_until(options["eta"]) if options.get("eta") is not None else 0.0


def _seconds_until(moment: Any) -> float:
    """Celery takes seconds, a datetime (naive: UTC, as Celery does) or its ISO form."""
    if isinstance(moment, int | float):
        return float(moment)
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return float((moment - utc_now()).total_seconds())
