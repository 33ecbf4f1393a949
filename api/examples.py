"""What the document shows as answers: one example for each model, by the name the document gives it."""

from typing import Any

MODEL = "llama3.1:8b"
JOB_ID = "01996b1e-6f5a-7c3e-9d1b-2f4a8c6e0d35"
KEY_ID = "7b0f3c52-94a1-4c1e-8d86-0f6a5c1e2b7d"
CREATED, STARTED, COMPLETED = (f"2026-03-01T12:00:0{second}.000Z" for second in (0, 1, 3))
TEXT = "Air scatters blue light more than red."

_RUNNING = {"job_id": JOB_ID, "model": MODEL, "started_at": STARTED}
_FIGURES = {
    "total": 120,
    "by_status": {"completed": 117, "failed": 2, "cancelled": 1},
    "success_rate": 0.983,
    "queue_seconds": {"mean": 1.2, "p95": 4.8},
    "processing_seconds": {"mean": 2.4, "p95": 6.1},
    "tokens_per_second": 41.5,
}
_PENDING = {
    "job_id": JOB_ID,
    "status": "pending",
    "is_complete": False,
    "kind": "generate",
    "service": None,
    "model": MODEL,
    "priority": 5,
    "queue_position": 3,
    "estimated_wait_seconds": 4.8,
    "attempts": 0,
    "created_at": CREATED,
    "started_at": None,
    "completed_at": None,
    "queue_seconds": None,
    "processing_time": None,
    "load_seconds": None,
    "prompt_tokens": None,
    "output_tokens": None,
    "tokens_per_second": None,
    "worker": None,
    "metadata": {},
    "error": None,
    "result_data": None,
    "urls": {
        name: f"/api/llm/jobs/{JOB_ID}/{name}/" for name in ("status", "result", "events", "cancel", "why")
    },
}
_COMPLETED = {
    **_PENDING,
    "status": "completed",
    "is_complete": True,
    "queue_position": None,
    "estimated_wait_seconds": None,
    "started_at": STARTED,
    "completed_at": COMPLETED,
    "queue_seconds": 1.0,
    "processing_time": 2.0,
    "load_seconds": 0.3,
    "prompt_tokens": 14,
    "output_tokens": 62,
    "tokens_per_second": 41.5,
    "worker": "worker-1@gpu",
    "result_data": TEXT,
}
_FAILED = {
    **_PENDING,
    "status": "failed",
    "is_complete": True,
    "queue_position": None,
    "estimated_wait_seconds": None,
    "attempts": 1,
    "started_at": STARTED,
    "completed_at": COMPLETED,
    "queue_seconds": 1.0,
    "error": {
        "code": "ollama_timeout",
        "message": "Ollama sent nothing for 60 seconds.",
        "attempt_errors": [
            {
                "code": "ollama_timeout",
                "message": "Ollama sent nothing for 60 seconds.",
                "worker": "worker-1@gpu",
                "started_at": STARTED,
                "ended_at": COMPLETED,
            }
        ],
    },
}
_KEY = {
    "key_id": KEY_ID,
    "name": "ci",
    "role": "user",
    "prefix": "pk_9fQ2",
    "is_valid": True,
    "created_at": CREATED,
    "last_used_at": None,
    "revoked_at": None,
    "expires_at": None,
    "previous_until": None,
    "default_priority": None,
    "priority_ceiling": 5,
    "allowed_models": None,
    "on_disconnect": None,
    "requests_per_minute": None,
    "tokens_per_minute": None,
    "max_pending": 100,
}

_USAGE = {
    "key_id": KEY_ID,
    "model": MODEL,
    "jobs": 12,
    "prompt_tokens": 310,
    "output_tokens": 1480,
    "processing_seconds": 31.5,
}

EXAMPLES: dict[str, Any] = {
    "Usage": _USAGE,
    "UsageList": {"hours": 24.0, "usage": [_USAGE]},
    "Job": _PENDING,
    "WholeJob": {
        **_COMPLETED,
        "input": {"prompt": "Why is the sky blue?"},
        "result": {"model": MODEL, "done": True, "done_reason": "stop", "eval_count": 62},
    },
    "JobList": {"jobs": [_COMPLETED, _FAILED], "next_cursor": None},
    "History": {
        "job_id": JOB_ID,
        "status": "completed",
        "events": [
            {"at": at, "event": event, "after_seconds": seconds, "detail": detail}
            for at, event, seconds, detail in (
                (CREATED, "submitted", 0.0, {}),
                (CREATED, "released", 0.0, {}),
                (CREATED, "published", 0.0, {"publication": 1}),
                (STARTED, "claimed", 1.0, {"worker": "worker-1@gpu", "claim": 1}),
                (COMPLETED, "completed", 3.0, {}),
            )
        ],
        "spans": [
            {"name": "waiting", "began_at": CREATED, "ended_at": STARTED},
            {"name": "running", "began_at": STARTED, "ended_at": COMPLETED},
        ],
    },
    "Why": {
        "job_id": JOB_ID,
        "status": "pending",
        "queue_position": 3,
        "position_capped": False,
        "model_loads_ahead": 0,
        "slots": {"total": 2, "busy": 2},
        "estimated_wait": {"seconds": 4.8, "low": 2.1, "high": 7.5},
        "reasons": [
            {"code": "jobs_ahead", "message": "3 jobs of the same model go first."},
            {"code": "slots_busy", "message": "All 2 slots are busy."},
        ],
    },
    "SubmittedJob": {"job_id": JOB_ID},
    "JobState": {"state": "done", "data": TEXT},
    "ModelList": {
        "models": [
            {
                "id": "c4d7d6a5-3f3b-5d58-9a3e-0b8a1d8e4f10",
                "name": MODEL,
                "provider": "ollama",
                "size_bytes": 4920753328,
                "is_loaded": True,
                "workers": 1,
                "is_active": True,
            }
        ]
    },
    "Statistics": {
        "totals": {
            "pending": 3,
            "processing": 1,
            "completed": 4711,
            "failed": 12,
            "cancelled": 5,
            "expired": 0,
        },
        "last_hour": {"seconds": 3600.0, "overall": _FIGURES, "by_model": [{"model": MODEL, **_FIGURES}]},
        "last_day": {"seconds": 86400.0, "overall": _FIGURES, "by_model": [{"model": MODEL, **_FIGURES}]},
    },
    "WorkerList": {
        "workers": [
            {
                "name": "worker-1@gpu",
                "host": "gpu",
                "concurrency": 2,
                "ollama": {
                    "url": "http://localhost:11434",
                    "is_healthy": True,
                    "version": "0.12.6",
                    "is_simulated": False,
                },
                "models": [{"name": MODEL, "size_bytes": 4920753328, "is_loaded": True}],
                "reported_seconds_ago": 0.4,
                "running": [_RUNNING],
            }
        ],
        "lost": [],
    },
    "Key": _KEY,
    "KeyList": {"keys": [_KEY]},
    "IssuedKey": {**_KEY, "key": "pk_9fQ2…"},
    "QueueList": {
        "queues": [
            {
                "model": MODEL,
                "paused_at": None,
                "pending": 3,
                "lined_up": 3,
                "processing": 1,
                "oldest_wait_seconds": 4.2,
                "completed_last_minute": 17,
                "workers": 1,
                "levels": [{"priority": 5, "pending": 3, "lined_up": 3}],
            }
        ]
    },
    "Alive": {"status": "ok"},
    "Health": {
        "status": "healthy",
        "database": {"status": "healthy"},
        "broker": {"status": "healthy"},
        "workers": {"status": "healthy", "count": 1, "slots": 2, "names": ["worker-1@gpu"]},
        "ollama": [
            {
                "status": "healthy",
                "url": "http://localhost:11434",
                "version": "0.12.6",
                "is_simulated": False,
                "worker": "worker-1@gpu",
                "models": [MODEL],
            }
        ],
    },
}

EVENTS = (
    'event: status\ndata: {"status":"processing"}\n\n'
    'id: 1772366401000-0\nevent: token\ndata: {"text":"Air"}\n\n'
    'id: 1772366403000-0\nevent: done\ndata: {"status":"completed"}\n\n'
)
