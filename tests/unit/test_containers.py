"""
Dockerfile and docker-compose.yml, without a Docker engine.

The schema is the compose specification's own, as the package check-jsonschema ships it.
"""

import importlib.util
import itertools
import json
import re
import shlex
import subprocess
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import flower.command  # noqa: F401 - defines Flower's options
import jsonschema
import pytest
from flower.options import default_options

from settings import ROOT, Settings
from stack.programs import AFTER_DRAIN_SECONDS
from tests.support.compose_files import OURS, compose, ignored, interpolated, seconds, service

SCHEMA = "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
# Not settings of ours, but of the library that connects to Postgres.
LIBPQ = {"PGPASSWORD"}


def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(
        Path(str(distribution("check-jsonschema").locate_file(SCHEMA))).read_text(encoding="utf-8")
    )
    return loaded


def variables_of_settings() -> set[str]:
    """Every variable that a setting is read from."""
    return {
        str(choice) for field in Settings.model_fields.values() for choice in field.validation_alias.choices
    }


@cache
def dockerfile() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile: their names and the rest of their lines."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    instructions = (line.partition(" ") for line in joined.splitlines())
    return [(name, rest) for name, _, rest in instructions]


# --- docker-compose.yml -------------------------------------------------------------------------------


def test_compose_follows_the_specification() -> None:
    """Every key and value is one that the compose specification's schema allows."""
    validator = jsonschema.validators.validator_for(schema())
    assert [error.message for error in validator(schema()).iter_errors(compose())] == []


def test_the_schema_would_find_a_mistake() -> None:
    """A misspelt key does not pass for valid."""
    wrong = {"services": {"a": {"image": "b", "helthcheck": {}}}}
    validator = jsonschema.validators.validator_for(schema())
    assert not validator(schema()).is_valid(wrong)


def test_compose_has_the_services_that_are_promised() -> None:
    """An Ollama in a container only by a profile."""
    assert set(compose()["services"]) == {*OURS, "redis", "postgres", "ollama"}
    assert [name for name, each in compose()["services"].items() if "profiles" in each] == ["ollama"]


@pytest.mark.parametrize("name", ["redis", "postgres", "ollama"])
def test_images_of_others_are_pinned(name: str) -> None:
    """To a version with its patch level, not to what is newest."""
    assert re.search(r":\d+\.\d+(\.\d+)?[a-z0-9.-]*$", service(name)["image"])


def test_one_image_is_built_once_and_never_pulled() -> None:
    """Its name means nothing to a registry."""
    assert {service(name)["image"] for name in OURS} == {"paddock:local"}
    assert {service(name)["pull_policy"] for name in OURS} == {"never"}
    assert [name for name in OURS if "build" in service(name)] == ["ollama-functions"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_that_compose_sets_is_read(name: str) -> None:
    """By Paddock's settings, by Flower or by the library that connects to Postgres."""
    flowers = {f"FLOWER_{option.upper().replace('-', '_')}" for option in default_options}
    known = variables_of_settings() | LIBPQ | (flowers if name == "flower" else set())
    assert set(service(name)["environment"]) <= known


def test_compose_names_no_variable_of_ours_that_does_not_exist() -> None:
    """Not in the file's substitutions and comments either."""
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"\bPADDOCK_[A-Z_]+", text)) <= variables_of_settings()


@pytest.mark.parametrize("name", OURS)
def test_the_settings_that_compose_makes_are_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They lead to the other containers, and to the host's Ollama."""
    for variable in variables_of_settings():
        monkeypatch.delenv(variable, raising=False)
    for variable, value in service(name)["environment"].items():
        monkeypatch.setenv(variable, interpolated(value))
    settings = Settings(_env_file=None)
    assert settings.host == "0.0.0.0"
    assert settings.database_url == "postgresql+psycopg://paddock@postgres:5432/paddock"
    assert settings.redis_url == "redis://redis:6379/0"
    assert settings.ollama_host == "http://host.docker.internal:11434"
    assert settings.model is None


def test_ports_are_published_on_loopback_alone() -> None:
    """And of the API and Flower alone: Redis and Postgres are reached by nobody else."""
    published = {name: each["ports"] for name, each in compose()["services"].items() if "ports" in each}
    assert {name: [interpolated(port) for port in ports] for name, ports in published.items()} == {
        "ollama-functions": ["127.0.0.1:8000:8000"],
        "flower": ["127.0.0.1:5555:5555"],
    }


def test_no_password_has_a_default() -> None:
    """Compose refuses to start without them."""
    environments = [each.get("environment", {}) for each in compose()["services"].values()]
    secrets = [
        value
        for environment in environments
        for variable, value in environment.items()
        if "PASSWORD" in variable or "AUTH" in variable
    ]
    assert len(secrets) == len(OURS) + 2
    assert all(re.fullmatch(r"(admin:)?\$\{(POSTGRES|FLOWER)_PASSWORD:\?[^}]+\}", value) for value in secrets)


def test_every_service_has_a_health_check_and_comes_back() -> None:
    """But for the migrations, which end."""
    for name, each in compose()["services"].items():
        if name == "migrate":
            assert each["restart"] == "no"
        else:
            assert each["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
            assert each["restart"] == "unless-stopped"


def test_migrations_run_once_before_the_others() -> None:
    """And after Postgres is there."""
    assert service("migrate")["command"] == ["flask", "--app", "api", "db", "upgrade"]
    assert service("migrate")["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("ollama-functions", "worker", "flower"):
        assert service(name)["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_a_stopped_worker_is_given_the_time_to_drain() -> None:
    """Docker would kill it after 10 s; init hands SIGTERM on to it."""
    drain_seconds = int(service("worker")["environment"]["PADDOCK_DRAIN_SECONDS"])
    grace_seconds = seconds(service("worker")["stop_grace_period"])
    assert grace_seconds >= drain_seconds + AFTER_DRAIN_SECONDS
    assert grace_seconds > drain_seconds + 5
    assert all(service(name)["init"] is True for name in OURS)


def test_redis_loses_and_evicts_nothing() -> None:
    """AOF every second, in a volume; a full memory refuses writes."""
    command = service("redis")["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options == {
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--maxmemory-policy": "noeviction",
    }
    assert service("redis")["volumes"] == ["redis-data:/data"]


def test_the_hosts_ollama_is_reached_by_name() -> None:
    """Docker gives the bridge's address that name."""
    for name in OURS:
        assert service(name)["extra_hosts"] == ["host.docker.internal:host-gateway"]


# --- Dockerfile ---------------------------------------------------------------------------------------


def instructions(name: str) -> list[str]:
    return [rest for each, rest in dockerfile() if each == name]


def test_base_images_are_pinned_and_slim() -> None:
    """Both stages, or what one installs would not run in the other."""
    assert {line.split()[0] for line in instructions("FROM")} == {"python:3.12-slim-bookworm"}


def test_the_image_runs_as_a_user_of_its_own() -> None:
    """By number, so that an orchestrator sees that it is not root; nothing runs as root after that."""
    assert instructions("USER") == ["10001:10001"]
    names = [name for name, _ in dockerfile()]
    assert "RUN" not in names[names.index("USER") :]
    assert "COPY" not in names[names.index("USER") :]


def test_packages_are_the_ones_of_the_constraints() -> None:
    """As in every other installation, without a cache left in the image."""
    (install,) = (line for line in instructions("RUN") if "pip install" in line)
    words = shlex.split(install)
    assert {"--no-cache-dir", "-r", "requirements.txt", "-c", "constraints.txt"} <= set(words)


def procfile() -> dict[str, list[str]]:
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    return {name: shlex.split(command) for name, command in (line.split(": ", 1) for line in lines)}


def test_commands_are_those_of_the_procfile() -> None:
    """In exec form: no shell stands between init and the process."""
    (command,) = instructions("CMD")
    assert json.loads(command) == procfile()["web"]
    assert service("worker")["command"] == procfile()["worker"]
    assert "command" not in service("ollama-functions")


def test_every_module_that_is_run_exists() -> None:
    """In the repository, or in a package of the requirements."""
    health = instructions("HEALTHCHECK")[0].partition("CMD ")[2]
    commands = [json.loads(instructions("CMD")[0]), json.loads(health)]
    for name in OURS:
        commands += [service(name).get("command", []), service(name)["healthcheck"].get("test", [])[1:]]
    modules = {after for words in commands for word, after in itertools.pairwise(words) if word == "-m"}
    assert modules == {"gunicorn", "worker", "celery", "stack.container_health"}
    assert all(importlib.util.find_spec(module) for module in modules)


@pytest.mark.parametrize(
    "secret", [".env", ".env.local", "var/admin.key", "var/paddock.db", ".git/config", "tls.pem", "tls.key"]
)
def test_no_secret_gets_into_the_image(secret: str) -> None:
    """Nor data."""
    assert ignored(secret)


def test_everything_that_runs_gets_into_the_image() -> None:
    """Every tracked module of the product is copied."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    left_out = {Path(name).parts[0] for name in listed if name and ignored(name)}
    assert left_out <= {
        *(".ci", ".gitignore", ".dockerignore", "Dockerfile", "docker-compose.yml"),
        *("Makefile", "Makefile.ai", "bench", "chaos", "tests", "requirements-dev.txt"),
    }
