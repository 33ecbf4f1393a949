"""What importing the package costs, and where Celery finds the app."""

import subprocess
import sys

import pytest

import worker
from settings import ROOT
from tasks import app

SCRIPT = """
import sys
import worker, worker.__main__
print(*sorted({"celery", "sqlalchemy", "redis"} & sys.modules.keys()))
"""


def test_the_package_alone_loads_nothing_much() -> None:
    """`python -m worker` imports it before the collector is told to wait, and the keeper's program, too."""
    ran = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_celery_finds_the_app_in_it() -> None:
    """`celery -A worker` asks for `worker.app`, and for nothing else that would be an app."""
    assert worker.app is app
    with pytest.raises(AttributeError, match="celery"):
        worker.celery  # noqa: B018 - what Celery looks at next
