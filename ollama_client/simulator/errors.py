"""
What the simulator refuses, and how it breaks off.

    Refusal          a status and a message, before the first token
    Broken           a hazard strikes while an answer runs
"""


class Refusal(Exception):
    """The request is answered with an error and a status of its own."""

    def __init__(self, status: int, message: str, *, from_runner: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        # A streamed request that a runner refuses is answered chunked and without a charset.
        self.from_runner = from_runner


class Broken(Exception):
    """A running answer ends otherwise than by its last token."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def queue_full() -> Refusal:
    """More requests wait for a load than the server takes."""
    return Refusal(503, "server busy, please try again.  maximum pending requests exceeded")


RUNNER_DIED = "an error was encountered while running the model: unexpected EOF"
TOO_LONG = "the input length exceeds the context length"
