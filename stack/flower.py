"""Flower with its password in a file: on a command line every user of the machine could read it."""

import os
import sys

from settings import get_settings
from var_files import read_or_make_secret

from .places import Places

USER = "admin"


def run() -> None:
    """Writes Flower's configuration, readable by its owner alone, and becomes Flower."""
    settings = get_settings()
    places = Places(settings.var_dir)
    places.make_folders()
    password = read_or_make_secret(places.flower_password)
    configuration = places.var / "flower_configuration.py"
    descriptor = os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"address = '127.0.0.1'\nport = {settings.flower_port}\n")
        file.write(f"basic_auth = ['{USER}:{password}']\n")
    command = [sys.executable, "-m", "celery", "-A", "tasks.celery_app", "flower", f"--conf={configuration}"]
    os.execv(command[0], command)
