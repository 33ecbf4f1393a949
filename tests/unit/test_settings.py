"""Settings: defaults, forms, and the line that a wrong value gets."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

import settings
from settings import ROOT, Settings, SettingsError, load

ELSEWHERE = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "HOST", "PORT", "FLOWER_PORT")
Load = Callable[..., Settings]


@pytest.fixture
def load_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Load:
    """Loads settings from these variables alone, `var/` being a temporary folder."""
    for name in list(os.environ):
        if name in ELSEWHERE or name.startswith(("PADDOCK_", "OLLAMA_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PADDOCK_VAR", str(tmp_path))

    def loaded(env_file: Path | None = None, **variables: str) -> Settings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return load(env_file)

    return loaded


def test_defaults_are_those_of_the_contract(load_with: Load, tmp_path: Path) -> None:
    """Without any variable every setting has its documented default."""
    found = load_with()
    assert (found.host, found.port, found.flower_port) == ("127.0.0.1", 8000, 5555)
    assert found.database_url == f"sqlite:///{tmp_path}/paddock.db"
    assert found.redis_url == f"unix://{tmp_path}/valkey.sock"
    assert found.broker_url == f"redis+socket://{tmp_path}/valkey.sock"
    assert (found.ollama_host, found.ollama_hosts) == ("http://127.0.0.1:11434", ())
    assert (found.ollama_configured, found.redis_configured) == (False, False)
    assert (found.model, found.concurrency, found.auth) == (None, 1, "required")
    assert (found.max_attempts, found.backoff_seconds) == (3, (2.0, 4.0, 8.0))
    assert (found.ageing_seconds, found.fair_window, found.line_up) == (30, None, 1000)
    assert (found.lease_seconds, found.affinity_seconds) == (5, 30)
    assert (found.first_token_timeout_seconds, found.token_timeout_seconds) == (300, 60)
    assert (found.drain_seconds, found.poll_seconds, found.retention_days) == (30, 2, 30)
    assert (found.max_body_bytes, found.max_pending) == (32 * 1024 * 1024, 1_000_000)
    assert (found.path_keys, found.on_disconnect, found.webhook_allow) == (False, "cancel", ())
    assert found.api_key is None


def test_settings_are_frozen(load_with: Load) -> None:
    """Nobody changes a setting after the start."""
    with pytest.raises(ValidationError):
        load_with().port = 1


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("PORT", "0", "a whole number from 1 to 65535"),
        ("PORT", "http", "a whole number from 1 to 65535"),
        ("DATABASE_URL", "mysql://localhost/x", "sqlite:///FILE or postgresql://"),
        ("DATABASE_URL", "sqlite://", "sqlite:///FILE or postgresql://"),
        ("DATABASE_URL", "sqlite:///:memory:", "sqlite:///FILE or postgresql://"),
        ("PADDOCK_DATABASE_POOL_SIZE", "0", "a whole number from 1"),
        ("PADDOCK_DATABASE_POOL_OVERFLOW", "-1", "a whole number from 0"),
        ("PADDOCK_DATABASE_RECYCLE_SECONDS", "0", "seconds, a number above 0"),
        ("PADDOCK_DATABASE_CONNECT_TIMEOUT_SECONDS", "1", "whole seconds from 2"),
        ("PADDOCK_DATABASE_STATEMENT_TIMEOUT_SECONDS", "0", "seconds, a number above 0"),
        ("REDIS_URL", "localhost:6379", "redis://HOST:PORT/0"),
        ("OLLAMA_HOST", "ftp://localhost", "an address as Ollama reads it"),
        ("PADDOCK_OLLAMA_HOST", "ftp://localhost", "an address as Ollama reads it"),
        ("PADDOCK_OLLAMA_HOSTS", "one:11434,ftp://two", "a comma list"),
        ("PADDOCK_CONCURRENCY", "0", "a whole number from 1 to 512"),
        ("OLLAMA_NUM_PARALLEL", "many", "a whole number from 1 to 512"),
        ("PADDOCK_AUTH", "no", "required or off"),
        ("PADDOCK_MAX_ATTEMPTS", "0", "a whole number from 1"),
        ("PADDOCK_BACKOFF_SECONDS", "2,four", "a comma list of seconds"),
        ("PADDOCK_BACKOFF_SECONDS", ",", "a comma list of seconds"),
        ("PADDOCK_AGEING_SECONDS", "nan", "seconds, a number above 0"),
        ("PADDOCK_LEASE_SECONDS", "1", "seconds, a number from 2"),
        ("PADDOCK_DRAIN_SECONDS", "-1", "seconds, a number from 0"),
        ("PADDOCK_RETENTION_DAYS", "0", "days, a number above 0"),
        ("PADDOCK_MAX_BODY_BYTES", "big", "bytes from 1024"),
        ("PADDOCK_PATH_KEYS", "perhaps", "on or off"),
        ("PADDOCK_ON_DISCONNECT", "wait", "cancel or continue"),
        ("PADDOCK_WEBHOOK_ALLOW", "10.0.0.0/8,not a host", "a comma list of address ranges or host names"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(load_with: Load, variable: str, value: str, allowed: str) -> None:
    """The line names the variable, the value and what is allowed."""
    with pytest.raises(SettingsError) as raised:
        load_with(**{variable: value})
    line = str(raised.value)
    assert line.startswith(f"{variable}={value} is not possible: allowed is ")
    assert allowed in line
    assert "\n" not in line


def test_a_value_of_several_lines_is_told_in_one(load_with: Load) -> None:
    """A line break in a value does not break the line."""
    with pytest.raises(SettingsError, match=r"PORT='80\\n00' is not possible"):
        load_with(PORT="80\n00")


def test_a_wrong_address_keeps_its_password_to_itself(load_with: Load) -> None:
    """The line ends up in logs."""
    with pytest.raises(SettingsError) as raised:
        load_with(DATABASE_URL="mysql://me:hidden@db/x")
    assert "hidden" not in str(raised.value)
    assert "mysql://…@db/x" in str(raised.value)


def test_secrets_are_not_in_the_representation(load_with: Load) -> None:
    """Whoever logs the settings logs no secret."""
    found = load_with(
        SECRET_KEY="hidden-1", PADDOCK_API_KEY="hidden-2", DATABASE_URL="postgres://me:hidden-3@db/x"
    )
    assert "hidden" not in repr(found)


def test_a_wrong_value_ends_a_process_without_a_traceback(tmp_path: Path) -> None:
    """Whatever program imports the settings ends with the line and status 2."""
    environment = {**os.environ, "PORT": "nine", "PADDOCK_VAR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "import settings; settings.get_settings()"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "PORT=nine is not possible: allowed is a whole number from 1 to 65535\n"


@pytest.mark.parametrize(
    "given",
    ["postgres://me@db/paddock", "postgresql://me@db/paddock", "postgresql+psycopg://me@db/paddock"],
)
def test_postgres_is_spoken_to_through_psycopg(load_with: Load, given: str) -> None:
    """Every usual way to write a Postgres address is taken."""
    assert load_with(DATABASE_URL=given).database_url == "postgresql+psycopg://me@db/paddock"


def test_a_relative_sqlite_file_is_the_same_for_every_process(load_with: Load) -> None:
    """It counts from the project's folder, wherever a process was started."""
    found = load_with(DATABASE_URL="sqlite:///some/where.db?timeout=5")
    assert found.database_url == f"sqlite:///{ROOT}/some/where.db?timeout=5"


@pytest.mark.parametrize(
    ("given", "redis_py", "kombu"),
    [
        ("redis://h:1/2", "redis://h:1/2", "redis://h:1/2"),
        ("rediss://h:1", "rediss://h:1", "rediss://h:1"),
        ("unix:///run/s", "unix:///run/s", "redis+socket:///run/s"),
        ("unix:///run/s?db=2", "unix:///run/s?db=2", "redis+socket:///run/s?virtual_host=2"),
        (
            "redis+socket:///run/s?virtual_host=2",
            "unix:///run/s?db=2",
            "redis+socket:///run/s?virtual_host=2",
        ),
        ("unix://:pw@/run/s", "unix://:pw@/run/s", "redis+socket://:pw@/run/s"),
    ],
)
def test_redis_is_written_as_each_library_wants_it(
    load_with: Load, given: str, redis_py: str, kombu: str
) -> None:
    """Either form of a socket is taken, and both are given."""
    found = load_with(REDIS_URL=given)
    assert (found.redis_url, found.broker_url) == (redis_py, kombu)
    assert found.redis_configured


def test_the_socket_may_be_where_the_stack_noted_it(load_with: Load, tmp_path: Path) -> None:
    """A folder with a long path has its socket elsewhere."""
    (tmp_path / "valkey.socket-path").write_text("/tmp/short/valkey.sock\n")
    assert load_with().redis_url == "unix:///tmp/short/valkey.sock"


def test_paddocks_own_variable_wins_over_the_plain_one(load_with: Load, tmp_path: Path) -> None:
    """Also where the plain one is in the environment and ours in .env."""
    (tmp_path / ".env").write_text("PADDOCK_OLLAMA_HOST=gpu:1234\nPADDOCK_CONCURRENCY=4\n")
    found = load_with(tmp_path / ".env", OLLAMA_HOST="localhost:8000", OLLAMA_NUM_PARALLEL="2")
    assert (found.ollama_host, found.concurrency) == ("http://gpu:1234", 4)
    assert found.ollama_configured


def test_the_environment_wins_over_the_file(load_with: Load, tmp_path: Path) -> None:
    """Of one variable, that in the environment counts; an empty one is none."""
    (tmp_path / ".env").write_text("PORT=1111\nFLOWER_PORT=2222\n")
    found = load_with(tmp_path / ".env", PORT="3333", FLOWER_PORT="")
    assert (found.port, found.flower_port) == (3333, 2222)


def test_a_file_that_is_no_text_is_told_in_one_line(load_with: Load, tmp_path: Path) -> None:
    """A broken .env is an error, never ignored."""
    (tmp_path / ".env").write_bytes(b"PORT=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env can't be read"):
        load_with(tmp_path / ".env")


def test_the_list_of_hosts_counts_before_the_plain_variable(load_with: Load) -> None:
    """The list was written for Paddock; a plain OLLAMA_HOST may be for somebody's own clients."""
    found = load_with(PADDOCK_OLLAMA_HOSTS=" one , two:1 ", OLLAMA_HOST="localhost:8000")
    assert found.ollama_hosts == ("http://one:11434", "http://two:1")
    assert found.every_ollama_host == found.ollama_hosts
    assert found.ollama_host == "http://one:11434"


def test_a_worker_of_several_has_the_host_that_it_was_given(load_with: Load) -> None:
    """The stack tells each worker its Ollama; the list is still around it."""
    found = load_with(PADDOCK_OLLAMA_HOSTS="one,two", PADDOCK_OLLAMA_HOST="http://two:11434")
    assert found.ollama_host == "http://two:11434"


@pytest.mark.parametrize(("value", "expected"), [("3", 3), ("0", 1)])
def test_concurrency_follows_ollama(load_with: Load, value: str, expected: int) -> None:
    """OLLAMA_NUM_PARALLEL=0 is how Ollama says: the default."""
    assert load_with(OLLAMA_NUM_PARALLEL=value).concurrency == expected


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_auth_is_off_only_on_loopback(load_with: Load, host: str) -> None:
    """A server that others reach asks for keys."""
    with pytest.raises(SettingsError, match="PADDOCK_AUTH=off with HOST=") as raised:
        load_with(PADDOCK_AUTH="off", HOST=host)
    assert host in str(raised.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_auth_may_be_off_on_loopback(load_with: Load, host: str) -> None:
    """A laptop may do without keys."""
    assert load_with(PADDOCK_AUTH="off", HOST=host).auth == "off"


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("OLLAMA_HOST", "localhost:8000"),
        ("OLLAMA_HOST", "0.0.0.0:8000"),
        ("PADDOCK_OLLAMA_HOST", "http://[::1]:8000/"),
        ("PADDOCK_OLLAMA_HOSTS", "gpu:11434,127.0.0.1:8000"),
    ],
)
def test_an_address_that_is_paddock_itself_is_refused(load_with: Load, variable: str, address: str) -> None:
    """Paddock in front of itself would wait for itself."""
    with pytest.raises(SettingsError, match="is Paddock itself"):
        load_with(**{variable: address})


def test_webhooks_may_be_allowed_to_ranges_and_names(load_with: Load) -> None:
    """Ranges are written in full, names in lower case."""
    assert load_with(PADDOCK_WEBHOOK_ALLOW="10.0.0.1/8, Hooks.Internal").webhook_allow == (
        "10.0.0.0/8",
        "hooks.internal",
    )


def test_sizes_may_have_units(load_with: Load) -> None:
    """32MiB is 32 times 1024 times 1024 bytes."""
    assert load_with(PADDOCK_MAX_BODY_BYTES="1MiB").max_body_bytes == 1024 * 1024


def test_an_unknown_variable_is_warned_of(load_with: Load, caplog: pytest.LogCaptureFixture) -> None:
    """A typing error is told with the name that was meant, and doesn't stop the start."""
    load_with(PADDOCK_AGING_SECONDS="10")
    (line,) = caplog.messages
    assert line.startswith("PADDOCK_AGING_SECONDS is not a setting of Paddock and is ignored; ")
    assert line.endswith("did you mean PADDOCK_AGEING_SECONDS?")


def test_the_secret_key_is_made_once_and_for_its_owner_alone(load_with: Load, tmp_path: Path) -> None:
    """A second process finds the first one's key."""
    first, second = load_with().secret_key, load_with().secret_key
    assert first == second
    assert len(first) >= 40
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_a_given_secret_key_makes_no_file(load_with: Load, tmp_path: Path) -> None:
    """SECRET_KEY is for several machines that share it."""
    assert load_with(SECRET_KEY="given").secret_key == "given"
    assert list(tmp_path.iterdir()) == []


def test_processes_that_start_together_get_one_secret(tmp_path: Path) -> None:
    """Whoever is first makes it; the others read it."""
    code = "import sys, pathlib, var_files; print(var_files.read_or_make_secret(pathlib.Path(sys.argv[1])))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "secret.key")], cwd=ROOT, stdout=subprocess.PIPE
        )
        for _ in range(6)
    ]
    assert len({process.communicate()[0] for process in started}) == 1


def test_what_a_child_inherits_can_be_more_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt has no business in the environment of every process."""
    monkeypatch.setenv("ASK_PROMPT", "secret")
    child = settings.child_environment({"PADDOCK_MODEL": "m"}, without=["ASK_PROMPT"])
    assert "ASK_PROMPT" not in child
    assert child["PADDOCK_MODEL"] == "m"
    assert settings.environment_bytes("ASK_PROMPT") == b"secret"
