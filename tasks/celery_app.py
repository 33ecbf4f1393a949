"""The Celery app. Flower and inspection use `-A tasks.celery_app`; workers use `-A worker`."""

from celery import Celery

app = Celery("paddock", include=["tasks.generate", "tasks.chat", "tasks.embed", "tasks.services"])
app.config_from_object("celeryconfig")
