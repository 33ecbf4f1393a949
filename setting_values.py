"""How single settings are read: each function takes the text of a variable and raises ValueError if wrong."""

import ipaddress
import re
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

DEFAULT_OLLAMA_HOST = "http://127.0.0.1:11434"


def split_commas(value: object) -> object:
    """A comma list, as written in an environment variable, as a tuple; anything else unchanged."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def database_url(value: str, folder: Path) -> str:
    """The URL as SQLAlchemy wants it: psycopg for Postgres, for SQLite a path made absolute from `folder`."""
    scheme, _, rest = value.partition("://")
    if scheme in {"postgres", "postgresql", "postgresql+psycopg"} and rest:
        return f"postgresql+psycopg://{rest}"
    path, question, query = rest.removeprefix("/").partition("?")
    # A database in memory would be another one in each process.
    if scheme != "sqlite" or not rest.startswith("/") or path in {"", ":memory:"}:
        raise ValueError
    return f"sqlite:///{folder / path}{question}{query}"


def redis_py_url(value: str) -> str:
    """The URL as redis-py wants it; kombu's form of a Unix socket is understood too."""
    parts = urlsplit(value)
    if parts.scheme in {"redis", "rediss"} and parts.netloc:
        return value
    if parts.scheme in {"unix", "redis+socket"} and parts.path.startswith("/"):
        query = parse_qs(parts.query)
        if "virtual_host" in query:
            query["db"] = query.pop("virtual_host")
        return _socket_url("unix", parts.netloc, parts.path, query)
    raise ValueError


def ollama_base_url(value: str) -> str:
    """Ollama's address, read as Ollama itself reads OLLAMA_HOST."""
    if value == DEFAULT_OLLAMA_HOST:
        return value
    # Late: most processes never leave the default, and the client package is not small.
    from ollama_client.host import parse_host

    return parse_host(value)


def address_range(value: str) -> str:
    """An address range, or a host name, that webhooks may call although it is private."""
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?", value):
            raise
        return value.lower()


def is_loopback(host: str) -> bool:
    """Whether a server bound to this host, or a client that calls it, stays on this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() in {"localhost", "ip6-localhost"}


def kombu_redis_url(value: str) -> str:
    """The URL as kombu writes it, from redis-py's form."""
    parts = urlsplit(value)
    if parts.scheme != "unix":
        return value
    query = parse_qs(parts.query)
    if "db" in query:
        query["virtual_host"] = query.pop("db")
    return _socket_url("redis+socket", parts.netloc, parts.path, query)


def _socket_url(scheme: str, netloc: str, path: str, query: dict[str, list[str]]) -> str:
    # urlunsplit would write unix:/path, which neither library takes.
    return f"{scheme}://{netloc}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
