"""
Paddock's settings: one frozen object, read from the environment and from `.env` in the project root.

This module is the only reader of `os.environ`. Where both name a variable, the environment wins over
`.env`. An empty value counts as not set. `docs/` and contract.md list the variables.

    SettingsError    a wrong value, told in one line: the variable, the value, what is allowed
    load()           reads everything anew and raises SettingsError
    get_settings()   the same, once a process; a wrong value ends the process with that line, status 2

Two more readings, of what is no setting: `environment_bytes` and `child_environment`.
"""

import difflib
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    ByteSize,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from setting_values import (
    DEFAULT_OLLAMA_HOST,
    address_range,
    database_url,
    is_loopback,
    kombu_redis_url,
    ollama_base_url,
    redis_py_url,
    split_commas,
)
from var_files import SECRET_KEY_FILE, read_or_make_secret, socket_path

ROOT = Path(__file__).resolve().parent
PREFIX = "PADDOCK_"

log = logging.getLogger("paddock.settings")


class SettingsError(Exception):
    """A setting has a value that Paddock can't start with."""


OllamaHost = Annotated[str, AfterValidator(ollama_base_url)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
TcpPort = Annotated[int, Field(ge=1, le=65535)]

A_HOST = "an address as Ollama reads it, such as 127.0.0.1:11434 or https://ollama.example"
A_COUNT = "a whole number from 1"
A_PORT = "a whole number from 1 to 65535"
SOME_SECONDS = "seconds, a number above 0"


# --- the object -------------------------------------------------------------------------------------


def _read(variable: str, default: Any, allowed: str, *, secret: bool = False) -> Any:
    """A setting: its variable, its default, and the words that say what is allowed."""
    choices = AliasChoices(*variable.split("|"))
    return Field(default, validation_alias=choices, description=allowed, repr=not secret)


class _Environment(PydanticBaseSettingsSource):
    """
    `.env` under the environment, as one mapping.

    pydantic-settings' own two sources resolve a setting's second name each for itself, so that a plain
    OLLAMA_HOST of the shell would win over PADDOCK_OLLAMA_HOST in `.env`.
    """

    def __init__(self, settings_cls: type[BaseSettings], env_file: Any) -> None:
        super().__init__(settings_cls)
        self.env_file = env_file

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # __call__ hands over the whole mapping

    def __call__(self) -> dict[str, Any]:
        values = read_environment(self.env_file)
        if values.get("OLLAMA_NUM_PARALLEL") == "0":  # to Ollama: its own default, which is 1
            del values["OLLAMA_NUM_PARALLEL"]
        # A plain OLLAMA_HOST may be what somebody's own clients use; the list was written for Paddock.
        first = values.get("PADDOCK_OLLAMA_HOSTS", "").split(",")[0].strip()
        if first and "PADDOCK_OLLAMA_HOST" not in values:
            values["PADDOCK_OLLAMA_HOST"] = first
        return dict(values)


class Settings(BaseSettings):
    """Every setting, checked. Descriptions say what is allowed; the error line repeats them."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", populate_by_name=True, env_file=ROOT / ".env", validate_default=True
    )

    var_dir: Path = _read("PADDOCK_VAR", ROOT / "var", "a folder")
    database_url: str = _read(
        "DATABASE_URL", "", "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME", secret=True
    )
    database_pool_size: Count = _read("PADDOCK_DATABASE_POOL_SIZE", 5, A_COUNT)
    database_pool_overflow: Annotated[int, Field(ge=0)] = _read(
        "PADDOCK_DATABASE_POOL_OVERFLOW", 10, "a whole number from 0"
    )
    database_recycle_seconds: Seconds = _read("PADDOCK_DATABASE_RECYCLE_SECONDS", 1800.0, SOME_SECONDS)
    database_connect_timeout_seconds: Annotated[int, Field(ge=2)] = _read(
        "PADDOCK_DATABASE_CONNECT_TIMEOUT_SECONDS", 5, "whole seconds from 2"
    )
    database_statement_timeout_seconds: Seconds = _read(
        "PADDOCK_DATABASE_STATEMENT_TIMEOUT_SECONDS", 10.0, SOME_SECONDS
    )
    redis_url: str = _read("REDIS_URL", "", "redis://HOST:PORT/0, rediss://… or unix:///SOCKET", secret=True)
    given_secret_key: str | None = _read("SECRET_KEY", None, "any text", secret=True)
    host: str = _read("HOST", "127.0.0.1", "an address of this machine, such as 127.0.0.1 or 0.0.0.0")
    port: TcpPort = _read("PORT", 8000, A_PORT)
    flower_port: TcpPort = _read("FLOWER_PORT", 5555, A_PORT)

    ollama_hosts: Annotated[tuple[OllamaHost, ...], BeforeValidator(split_commas)] = _read(
        "PADDOCK_OLLAMA_HOSTS", (), f"a comma list; each: {A_HOST}"
    )
    ollama_host: OllamaHost = _read("PADDOCK_OLLAMA_HOST|OLLAMA_HOST", DEFAULT_OLLAMA_HOST, A_HOST)
    model: str | None = _read("PADDOCK_MODEL", None, "a model's name, such as llama3.2:1b")
    concurrency: Annotated[int, Field(ge=1, le=512)] = _read(
        "PADDOCK_CONCURRENCY|OLLAMA_NUM_PARALLEL", 1, "a whole number from 1 to 512"
    )
    auth: Literal["required", "off"] = _read("PADDOCK_AUTH", "required", "required or off")

    max_attempts: Count = _read("PADDOCK_MAX_ATTEMPTS", 3, A_COUNT)
    backoff_seconds: Annotated[
        tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...],
        BeforeValidator(split_commas),
        Field(min_length=1),
    ] = _read("PADDOCK_BACKOFF_SECONDS", (2.0, 4.0, 8.0), "a comma list of seconds, such as 2,4,8")
    ageing_seconds: Seconds = _read("PADDOCK_AGEING_SECONDS", 30.0, SOME_SECONDS)
    fair_window: Count | None = _read("PADDOCK_FAIR_WINDOW", None, A_COUNT)
    line_up: Count = _read("PADDOCK_LINE_UP", 1000, A_COUNT)
    lease_seconds: Annotated[float, Field(ge=2, allow_inf_nan=False)] = _read(
        "PADDOCK_LEASE_SECONDS", 5.0, "seconds, a number from 2 (a lease is renewed every second)"
    )
    affinity_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = _read(
        "PADDOCK_AFFINITY_SECONDS", 30.0, "seconds, a number from 0"
    )
    first_token_timeout_seconds: Seconds = _read("PADDOCK_FIRST_TOKEN_TIMEOUT_SECONDS", 300.0, SOME_SECONDS)
    token_timeout_seconds: Seconds = _read("PADDOCK_TOKEN_TIMEOUT_SECONDS", 60.0, SOME_SECONDS)
    drain_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = _read(
        "PADDOCK_DRAIN_SECONDS", 30.0, "seconds, a number from 0"
    )
    poll_seconds: Seconds = _read("PADDOCK_POLL_SECONDS", 2.0, SOME_SECONDS)
    retention_days: Annotated[float, Field(gt=0, allow_inf_nan=False)] = _read(
        "PADDOCK_RETENTION_DAYS", 30.0, "days, a number above 0"
    )
    max_body_bytes: Annotated[ByteSize, Field(ge=1024)] = _read(
        "PADDOCK_MAX_BODY_BYTES", 32 * 2**20, "bytes from 1024, such as 33554432 or 32MiB"
    )
    max_pending: Count = _read("PADDOCK_MAX_PENDING", 1_000_000, A_COUNT)
    path_keys: bool = _read("PADDOCK_PATH_KEYS", False, "on or off")
    on_disconnect: Literal["cancel", "continue"] = _read(
        "PADDOCK_ON_DISCONNECT", "cancel", "cancel or continue"
    )
    webhook_allow: Annotated[
        tuple[Annotated[str, AfterValidator(address_range)], ...], BeforeValidator(split_commas)
    ] = _read("PADDOCK_WEBHOOK_ALLOW", (), "a comma list of address ranges or host names, such as 10.0.0.0/8")
    api_key: str | None = _read("PADDOCK_API_KEY", None, "an API key", secret=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keyword arguments, then one mapping of `.env` and the environment."""
        return init_settings, _Environment(settings_cls, getattr(dotenv_settings, "env_file", None))

    @field_validator("var_dir")
    @classmethod
    def _absolute_folder(cls, value: Path) -> Path:
        return ROOT / value.expanduser()

    @field_validator("database_url")
    @classmethod
    def _default_database(cls, value: str, info: ValidationInfo) -> str:
        return database_url(value or f"sqlite:///{_folder(info) / 'paddock.db'}", ROOT)

    @field_validator("redis_url")
    @classmethod
    def _default_redis(cls, value: str, info: ValidationInfo) -> str:
        return redis_py_url(value or f"unix://{socket_path(_folder(info))}")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.auth == "off" and not is_loopback(self.host):
            raise SettingsError(
                f"PADDOCK_AUTH=off with HOST={self.host}: off is allowed only with HOST=127.0.0.1, ::1 or "
                "localhost"
            )
        for base_url in self.every_ollama_host:
            self._refuse_itself(base_url)
        return self

    def _refuse_itself(self, base_url: str) -> None:
        url = urlsplit(base_url)
        port = url.port or {"http": 80, "https": 443}.get(url.scheme)
        if port == self.port and url.hostname and (is_loopback(url.hostname) or url.hostname == self.host):
            raise SettingsError(
                f"OLLAMA_HOST={base_url} is Paddock itself (PORT={self.port}): allowed is the address of an "
                f"Ollama; set PADDOCK_OLLAMA_HOST, which wins over OLLAMA_HOST, to it, such as "
                f"{DEFAULT_OLLAMA_HOST}"
            )

    @property
    def every_ollama_host(self) -> tuple[str, ...]:
        """The Ollamas that the local stack starts a worker beside, one each."""
        return self.ollama_hosts or (self.ollama_host,)

    @property
    def ollama_configured(self) -> bool:
        """Whether somebody named an Ollama; otherwise the default address is only a guess."""
        return bool(self.model_fields_set & {"ollama_host", "ollama_hosts"})

    @property
    def redis_configured(self) -> bool:
        """Whether a Redis was named; otherwise the local stack runs an embedded Valkey."""
        return "redis_url" in self.model_fields_set

    @property
    def database_connections(self) -> dict[str, Any]:
        """The fields of `jobs.database.Connections`."""
        return {
            "pool_size": self.database_pool_size,
            "pool_overflow": self.database_pool_overflow,
            "recycle_seconds": self.database_recycle_seconds,
            "connect_timeout_seconds": self.database_connect_timeout_seconds,
        }

    @property
    def broker_url(self) -> str:
        """The same Redis as `redis_url`, as kombu writes it."""
        return kombu_redis_url(self.redis_url)

    @property
    def secret_key(self) -> str:
        """What signs cookies: SECRET_KEY, else made once in `var/secret.key`."""
        return self.given_secret_key or read_or_make_secret(self.var_dir / SECRET_KEY_FILE)

    @property
    def base_url(self) -> str:
        """Where this machine reaches the web process."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - names it, no bind
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


def _folder(info: ValidationInfo) -> Path:
    """`var/`, checked before this setting."""
    folder: Path = info.data["var_dir"]
    return folder


# --- reading ----------------------------------------------------------------------------------------


def read_environment(env_file: Any = ROOT / ".env") -> dict[str, str]:
    """`.env` under the environment, without empty values."""
    try:
        from_file = dotenv_values(env_file) if env_file and Path(env_file).is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{env_file} can't be read ({error}): allowed are lines NAME=VALUE") from None
    return {name: value for source in (from_file, os.environ) for name, value in source.items() if value}


def environment_bytes(name: str) -> bytes:
    """A variable's exact bytes, for what is no setting: the text that `make ask` hands over."""
    return os.environb.get(name.encode(), b"")


def child_environment(extra: Mapping[str, str], without: Iterable[str] = ()) -> dict[str, str]:
    """This process's environment for a process that it starts: with some variables more, and some less."""
    dropped = set(without)
    return {name: value for name, value in os.environ.items() if name not in dropped} | dict(extra)


def load(env_file: Path | None = ROOT / ".env") -> Settings:
    """
    Reads the settings anew; unknown PADDOCK_ variables are warned of.

    Raises:
        SettingsError: one line that names the variable, the value and what is allowed.
    """
    values = read_environment(env_file)
    try:
        settings = Settings(_env_file=env_file)
    except ValidationError as error:
        raise SettingsError(_explain(error, values)) from None
    for line in unknown_variables(values):
        log.warning("%s", line)
    return settings


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """This process's settings; a wrong value ends the process with one line and status 2."""
    try:
        return load()
    except SettingsError as error:
        # Also where a library imports us (celery, gunicorn, flask): a line, never a traceback.
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None


def _explain(error: ValidationError, values: Mapping[str, str]) -> str:
    """The first wrong value in one line."""
    first = error.errors()[0]
    place = str(first["loc"][0])
    for name, field in Settings.model_fields.items():
        choices = _variables(name)
        if place == name or place in choices:
            variable = next((choice for choice in choices if choice in values), choices[0])
            value = re.sub(r"://[^@/]*@", "://…@", values.get(variable, str(first["input"])))
            shown = value if value.isprintable() else repr(value)
            return f"{variable}={shown} is not possible: allowed is {field.description}"
    return f"{place}: {first['msg']}"


def _variables(name: str) -> list[str]:
    """The variables that set a setting, the winning one first."""
    alias = Settings.model_fields[name].validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name]


def unknown_variables(names: Iterable[str]) -> list[str]:
    """One line for each PADDOCK_ variable that Paddock does not have, with the nearest that it has."""
    known = {variable for name in Settings.model_fields for variable in _variables(name)}
    lines = []
    for name in sorted(set(names) - known):
        if name.startswith(PREFIX):
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            lines.append(f"{name} is not a setting of Paddock and is ignored; did you mean {near[0]}?")
    return lines
