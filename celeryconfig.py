"""Settings under Celery's names. The reasons are in docs/architecture.md; no logic here."""

from settings import get_settings

_settings = get_settings()

broker_url = _settings.broker_url
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# A Redis that is full refuses the note of what was popped: the worker connects anew, instead of ending.
broker_channel_error_retry = True
broker_transport_options = {
    "priority_steps": list(range(10)),
    # Far above the longest job: kombu's redelivery is a last resort; leases and the reconciler come first.
    "visibility_timeout": 24 * 3600,
    "unacked_restore_interval": 1,
    "health_check_interval": 5,
    "socket_keepalive": True,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "polling_interval": 0.1,
    "queue_order_strategy": "tasks.queue_order:TurnOrder",
}
result_backend = f"tasks.backend:JobBackend+{_settings.database_url}"
result_extended = False
database_create_tables_at_setup = False

task_serializer = result_serializer = event_serializer = "json"
accept_content = result_accept_content = ["json"]

task_acks_late = True
task_reject_on_worker_lost = True
task_default_queue = "celery"
task_default_priority = 5
task_publish_retry = False
task_send_sent_event = False
task_track_started = False

worker_pool = "worker.pool:TaskPool"
worker_concurrency = _settings.concurrency
worker_prefetch_multiplier = 1
worker_send_task_events = True
worker_hijack_root_logger = False
worker_cancel_long_running_tasks_on_connection_loss = False
worker_redirect_stdouts = False
