"""From a request to Ollama's or OpenAI's routes to its answer: a job, and its client relayed to."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import uuid_utils
from flask import Response, request

from api.answers import CLIENT_CLOSED, Ended, dump, read_end
from api.auth import caller
from api.backlog import backlog
from api.clients_gone import watch_client
from api.database import get_database
from api.idempotency import asked_once, replayed, tell
from api.key_limits import within_limits
from api.late import get_resources, task_of
from api.live import live_events
from api.relay import ClientGone, Lines, Relay
from api.submitting import respond_submitted
from api.wire_requests import on_disconnect, read_request
from jobs.events import DONE
from jobs.idempotency import Once
from jobs.records import Submitted
from jobs.states import Status
from jobs.wire import WIRE_ROUTES, WireRequest, WireRoute

JSON = "application/json; charset=utf-8"
_STREAM_TYPES = {"ollama": "application/x-ndjson", "openai": "text/event-stream"}
_ASYNC = re.compile(r"respond-async(\s*;.*)?", re.IGNORECASE)
_ONLY_END = frozenset({DONE})


def answer(path: str) -> Response:
    """The answer to a request to this route of WIRE_ROUTES."""
    route = WIRE_ROUTES[path]
    is_async = _prefers_async()
    cancels = on_disconnect() == "cancel"
    wire = read_request(route, is_async=is_async)
    once = asked_once()
    earlier = replayed(once)
    if earlier is None:
        wire = within_limits(wire, caller())
        backlog().admit()
    if is_async:
        return _accepted(earlier or _submit(wire, str(uuid_utils.uuid7()), once))
    if earlier is None:
        try:
            return _relayed(route, wire, str(uuid_utils.uuid7()), cancels=cancels, once=once)
        except _MadeAlready as made:
            earlier = made.submitted
    return _relayed(route, wire, earlier.job_id, cancels=False, is_replay=True)


class _MadeAlready(Exception):
    """Another request with the same Idempotency-Key was quicker."""

    def __init__(self, submitted: Submitted) -> None:
        super().__init__()
        self.submitted = submitted


def _relayed(
    route: WireRoute,
    wire: WireRequest,
    job_id: str,
    *,
    cancels: bool,
    once: Once | None = None,
    is_replay: bool = False,
) -> Response:
    """
    Submit the job, unless it is there already, and relay its answer.

    Args:
        cancels: A client that goes away takes its job along.
    """
    with ExitStack() as closing:
        # Listening before the job is there: nothing that happens to it can be missed.
        only = None if wire.is_streamed else _ONLY_END
        live = live_events()
        subscription = closing.enter_context(live.subscribe(job_id, only=only, is_new=not is_replay))
        if is_replay:
            subscription.miss()  # what came before is in the stream
        else:
            # A power cut cancels the job of a client that takes it along: it need not be on the disk first.
            submitted = _submit(wire, job_id, once, durable=not cancels or once is not None)
            if submitted.is_replay:
                raise _MadeAlready(submitted)
        relay = Relay(
            job_id,
            route,
            subscription,
            live=live,
            client=get_resources().redis,
            read_end=_end_reader(job_id, route),
        )
        closing.callback(_canceller(relay, job_id) if cancels else lambda: None)
        closing.callback(watch_client(request.environ, subscription.leave))
        try:
            if wire.is_streamed:
                response = _named(_beginning(relay, relay.first(), route), job_id)
            else:
                response = _named(_in_one_piece(relay.end(), route), job_id)
        except ClientGone:
            return Response(status=CLIENT_CLOSED)
        response.call_on_close(closing.pop_all().close)
        return response


def _submit(wire: WireRequest, job_id: str, once: Once | None, *, durable: bool = True) -> Submitted:
    task = task_of(wire.resolved_kind)
    return tell(task.submit(wire, key_id=caller().key_id, job_id=job_id, once=once, durable=durable))


def _prefers_async() -> bool:
    preferences = request.headers.get("Prefer", "").split(",")
    return any(_ASYNC.fullmatch(preference.strip()) for preference in preferences)


def _accepted(submitted: Submitted) -> Response:
    response = respond_submitted(submitted)
    applied = response.headers.get("Preference-Applied")
    response.headers["Preference-Applied"] = f"respond-async, {applied}" if applied else "respond-async"
    return _named(response, submitted.job_id)


def _end_reader(job_id: str, route: WireRoute) -> Callable[[], Ended | None]:
    database = get_database()
    return lambda: read_end(database, job_id, route)


def _canceller(relay: Relay, job_id: str) -> Callable[[], None]:
    """Cancels the job of a client that has not waited for its end."""

    def cancel() -> None:
        if not relay.is_over:
            from tasks.cancelling import cancel_quietly

            cancel_quietly(job_id)

    return cancel


def _beginning(relay: Relay, first: Lines | Ended | None, route: WireRoute) -> Response:
    """The answer to a client that wants a stream; what ended before it began has no stream."""
    if isinstance(first, Ended) and first.status is not Status.COMPLETED:
        relay.is_over = True
        return _in_one_piece(first, route)
    if isinstance(first, Ended) and first.is_one_object and first.raw is not None:
        relay.is_over = True
        return Response(first.raw, content_type=JSON)
    response = Response(_encoded(relay.stream(first)), content_type=_STREAM_TYPES[route.dialect])
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _encoded(lines: Iterator[str]) -> Iterator[bytes]:
    with suppress(ClientGone):
        for line in lines:
            yield line.encode("utf-8", "replace")


def _in_one_piece(ended: Ended, route: WireRoute) -> Response:
    end, kind = ("", JSON) if route.dialect == "ollama" else ("\n", "application/json")
    text = dump(ended.body) if ended.raw is None else ended.raw
    response = Response(text + end, status=ended.http_status, content_type=kind)
    if ended.http_status >= 500:
        response.headers["X-Should-Retry"] = "false"  # OpenAI's clients: we have tried again already
    return response


def _named(response: Response, job_id: str) -> Response:
    response.headers["X-Job-ID"] = job_id
    return response
