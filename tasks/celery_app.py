"""The Celery app. Flower and inspection use `-A tasks.celery_app`; workers use `-A worker`."""

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

# Before the first connection: "redis" in the broker's URL means our transport.
TRANSPORT_ALIASES["redis"] = "tasks.transport:Transport"

app = Celery("paddock", include=["tasks.generate", "tasks.chat", "tasks.embed", "tasks.services"])
app.config_from_object("celeryconfig")
