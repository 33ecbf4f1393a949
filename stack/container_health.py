"""
A container's health: `python -m stack.container_health web|flower|worker`, for Dockerfile and compose.

The image has no curl, and Celery's own `inspect ping` costs seconds of processor time each time.
"""

import socket
import sys
import urllib.error
import urllib.request

import redis

from jobs.workers import live_workers
from settings import Settings, get_settings

TIMEOUT_SECONDS = 3.0


def answers(url: str) -> str:
    """Why an address does not answer with success; "" where it does."""
    # No proxy between a container and itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS):
            return ""
    except (urllib.error.URLError, OSError) as error:
        return f"{url}: {error}"


def reports(settings: Settings) -> str:
    """Why this machine has no worker that reported in the last seconds; "" where it has."""
    options = {"decode_responses": True, "socket_timeout": TIMEOUT_SECONDS}
    try:
        with redis.Redis.from_url(settings.redis_url, **options) as client:
            names = [worker.name for worker in live_workers(client)]
    except redis.RedisError as error:
        return f"Redis: {error}"
    here = f"@{socket.gethostname()}"
    return "" if any(name.endswith(here) for name in names) else f"no worker of {here[1:]} has reported"


def main(name: str) -> int:
    """0 where the process of this name is well, else 1 and one line."""
    settings = get_settings()
    if name == "worker":
        complaint = reports(settings)
    elif name == "flower":
        complaint = answers(f"http://127.0.0.1:{settings.flower_port}/healthcheck")
    else:
        complaint = answers(f"{settings.base_url}/healthz")
    print(complaint or "ok")
    return 1 if complaint else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
