"""What each prefork child has for itself: connections, an HTTP session, and its two threads."""

import gc
import os
from dataclasses import dataclass
from typing import Any

from celery.signals import worker_process_init, worker_process_shutdown

from jobs.events import EventWriter
from jobs.round_trips import OwnConnection
from ollama_client.transport import OllamaTransport
from tasks.resources import Resources, get_resources, pool_connections
from worker.context_sizes import ContextSizes
from worker.event_stream import EventStream
from worker.lease import LeaseThread


@dataclass(frozen=True)
class Child:
    """A child process of the worker `worker`, with everything made after the fork."""

    worker: str
    resources: Resources
    transport: OllamaTransport
    lease: LeaseThread
    events: EventStream
    context_sizes: ContextSizes


_children: list[Child] = []


def start_child(worker: str) -> Child:
    """Set this process up for running jobs."""
    os.setpgrp()  # a SIGTERM to the worker's group is for the parent, which drains
    pool_connections(True)
    resources = get_resources()
    child = Child(
        worker=worker,
        resources=resources,
        transport=OllamaTransport(resources.settings.ollama_host),
        lease=LeaseThread(resources.service, resources.redis),
        events=EventStream(EventWriter(resources.redis, OwnConnection(resources.redis)), worker),
        context_sizes=ContextSizes(resources.redis, worker),
    )
    resources.service.rehearse()
    child.lease.start()
    child.events.start()
    _children[:] = [child]
    return child


def this_child() -> Child:
    """The child that this process is."""
    return _children[0]


def _on_process_init(sender: Any = None, **_: Any) -> None:
    start_child(str(sender))
    # What was there before the first job stays as long as the child: the collector need not look at it again.
    gc.collect()
    gc.freeze()


def _on_process_shutdown(exitcode: int = 0, **_: Any) -> None:
    """
    End at once, when readers have been told all.

    billiard would write its end to the parent, which sees it anyway, and then sleep for a second.
    """
    for child in _children:
        child.events.flush()
    os._exit(exitcode)


def connect_signals() -> None:
    """Set children up as they are forked, and end them."""
    worker_process_init.connect(_on_process_init, weak=False)
    worker_process_shutdown.connect(_on_process_shutdown, weak=False)
