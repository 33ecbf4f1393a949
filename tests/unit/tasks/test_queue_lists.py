"""What is lined up in Redis."""

from typing import Any

from tasks import app
from tasks.queue_lists import count_lined_up, list_names, queue_name


def test_the_lists_are_kombus_own() -> None:
    """A queue's lists have the names that kombu gives them."""
    with app.connection_for_write() as connection:
        channel_class = connection.transport.Channel
        priority_steps = app.conf.broker_transport_options["priority_steps"]
    queue = queue_name("llama3.1:8b")
    named = [f"{queue}{channel_class.sep}{level}" if level else queue for level in priority_steps]
    assert list_names(queue) == named


def test_messages_are_counted_by_level(redis_client: Any) -> None:
    """Each level's list is counted; a model without messages has no levels."""
    redis_client.rpush(list_names("ollama.alpha")[0], "a")
    redis_client.rpush(list_names("ollama.alpha")[9], "b", "c")
    assert count_lined_up(redis_client, ["alpha", "beta"]) == {"alpha": {0: 1, 9: 2}, "beta": {}}
    assert count_lined_up(redis_client, []) == {}
