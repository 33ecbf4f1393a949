"""`make run`: the stack in the foreground, telling what happens to it, until somebody asks it to stop."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from settings import Settings

from .errors import StackError
from .lifecycle import describe, start, stop
from .places import Places
from .supervisor import Control
from .terminal import say

WATCH_EVERY_SECONDS = 0.5


def run(settings: Settings) -> int:
    """The stack in the foreground, until Ctrl-C, SIGTERM, or a `stop` from elsewhere."""
    places = Places(settings.var_dir)
    places.make_folders()
    asked_to_stop = _AskedToStop()
    while not asked_to_stop.is_set():
        with places.starting(), asked_to_stop.at_once():
            if places.is_up():
                raise StackError("This folder's stack is already up: make stop ends it, make status shows it")
            started = start(settings)
        describe(started.running, places)
        say("Ctrl-C ends it.")
        watch(started.runner, places, asked_to_stop)
        if started.runner.poll() == 0:
            say("Stopped by another command.")
            return 0
        if not asked_to_stop.is_set():
            say("The process runner was killed; starting again ...")
    return 0 if stop(settings) else 1


class _AskedToStop(threading.Event):
    """Set by Ctrl-C, SIGTERM and hang-up; while it is `at_once`, they interrupt instead."""

    def __init__(self) -> None:
        super().__init__()
        self._interrupts = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                signal.signal(number, self._asked)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A start that is interrupted ends what it has started."""
        self._interrupts = True
        yield
        self._interrupts = False

    def _asked(self, *_: object) -> None:
        self.set()
        if self._interrupts:
            raise KeyboardInterrupt


def watch(
    runner: "subprocess.Popen[bytes]",
    places: Places,
    asked_to_stop: threading.Event,
    every_seconds: float = 0.5,
) -> None:
    """Says which process ended and was started again, until the runner ends or somebody asks to stop."""
    known: dict[str, int] = {}
    with Control(places) as control:
        while runner.poll() is None and not asked_to_stop.wait(WATCH_EVERY_SECONDS):
            with suppress(*Control.Gone):
                _tell_changes(control, known, places)


def _tell_changes(control: Control, known: dict[str, int], places: Places) -> None:
    for name, info in control.processes().items():
        pid = int(info["pid"])
        if pid and known.get(name, pid) != pid:
            say(f"{name} ended and was started again (process {pid}); see {places.logs / name}.log")
        if pid:
            known[name] = pid
