"""What a test run takes from the environment it is started in."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRINT_NAMES = "import tests.environment, os; print(*sorted(os.environ))"


def test_what_is_meant_for_the_tests_reaches_them_and_nothing_else_of_the_users() -> None:
    """A count asked for in full is the count that runs; the user's own settings are left out."""
    given = {"PADDOCK_TEST_DISCONNECTS": "300", "PADDOCK_MODEL": "mine", "OLLAMA_HOST": "elsewhere"}
    given |= {"DATABASE_URL": "sqlite:///mine", "PADDOCK_TEST_DATABASE": "sqlite"}
    command = [sys.executable, "-c", PRINT_NAMES]
    found = subprocess.check_output(command, cwd=ROOT, env={**os.environ, **given}, text=True).split()
    assert {"PADDOCK_TEST_DISCONNECTS", "PADDOCK_VAR"} <= set(found)
    assert not {"PADDOCK_MODEL", "OLLAMA_HOST", "DATABASE_URL"} & set(found)
