"""Reading an event stream, however its bytes were cut."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stack.server_sent_events import Event, read_events

STREAM = (
    b": hello\n\n"
    b'id: 1-0\nevent: status\ndata: {"status": "pending"}\n\n'
    b'id: 1-1\r\nevent: token\r\ndata: {"text": "\xf0\x9f\xa6\x99 caf\xc3\xa9\\n"}\r\n\r\n'
    b"event: odd\ndata: no json\n\n"
    b'event:done\ndata:{"status":\ndata:"completed"}\n\n'
    b'event: token\ndata: {"text": "cut off"}\n'
)
EVENTS = [
    Event("status", {"status": "pending"}, "1-0"),
    Event("token", {"text": "🦙 café\n"}, "1-1"),
    Event("done", {"status": "completed"}, ""),
]


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_events_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    """Comments, data that is no JSON object, and an event that was cut off are passed over."""
    places = [0, *sorted(cuts), len(STREAM)]
    chunks = [STREAM[start:end] for start, end in pairwise(places)]
    assert list(read_events(chunks)) == EVENTS
