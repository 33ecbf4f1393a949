"""Talking to the person at the terminal: progress on standard error, answers on standard output."""

import sys


def tolerate_any_terminal() -> None:
    """Text that the terminal's encoding can't show becomes a question mark, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a test's or a caller's own stream may have none
            reconfigure(errors="replace")


def say(line: str) -> None:
    """One line of progress."""
    print(line, file=sys.stderr, flush=True)
