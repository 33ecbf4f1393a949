"""Reading OLLAMA_HOST the way Ollama does, as the address to call."""

import ipaddress
import logging
import re

_log = logging.getLogger(__name__)

_DEFAULT_PORTS = {None: 11434, "http": 80, "https": 443}
# Where a server listens on all interfaces, a client on the same machine reaches it here.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
_HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")


def parse_host(value: str) -> str:
    """
    The base URL that a value of OLLAMA_HOST stands for.

    Args:
        value: `HOST`, `HOST:PORT`, `:PORT`, an IPv6 address with or without brackets, or any
            of these after `http://` or `https://`, a path allowed. Empty: the default.

    Returns:
        Always with scheme and port, without a trailing slash: "http://127.0.0.1:11434".

    Raises:
        ValueError: The scheme is another one, or the host is none. The text quotes what is
            wrong, but no user name and password.

    Source:
        Ollama's envconfig.Host: port 11434 without a scheme, 80 or 443 with one; a port
        that is none is reported and replaced by that default.
    """
    value = value.strip().strip("\"'").strip()
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "", value
    if not separator and rest == "ollama.com":
        scheme = "https"
    if scheme.lower() not in ("", "http", "https"):
        raise ValueError(f"scheme {scheme!r} is neither http nor https")
    default_port = _DEFAULT_PORTS[scheme.lower() or None]
    where, _, path = rest.partition("/")
    credentials, at, where = where.rpartition("@")
    host, port = _split_port(where)
    address = _LOOPBACK.get(host, host)
    return (
        f"{scheme.lower() or 'http'}://{credentials}{at}{_bracketed(address)}"
        f":{_port_number(port, default_port)}/{path}"
    ).rstrip("/")


def join_host(host: str, port: int) -> str:
    """The base URL of a host and port given apart; a host may bring its own scheme, port or path."""
    if "://" in host or "/" in host:
        return parse_host(host)
    bare, own_port = _split_port(host.strip())
    return parse_host(f"{_bracketed(_LOOPBACK.get(bare, bare))}:{own_port or port}")


def _split_port(where: str) -> tuple[str, str]:
    """Host without brackets, and the port's text ("" without one)."""
    if where.startswith("["):
        host, closed, port = where[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise ValueError(f"{where!r} has an unclosed bracket")
        return host, port[1:]
    if where.count(":") > 1:  # a bare IPv6 address
        return where, ""
    host, _, port = where.partition(":")
    return host, port


def _bracketed(host: str) -> str:
    if ":" in host:
        address, percent, zone = host.partition("%")
        try:
            return f"[{ipaddress.IPv6Address(address)}{'%25' if percent else ''}{zone.removeprefix('25')}]"
        except ValueError:
            raise ValueError(f"{host!r} is neither HOST:PORT nor an IPv6 address") from None
    if not _HOST_NAME.fullmatch(host):
        raise ValueError(f"{host!r} is not a host name")
    return host


def _port_number(port: str, default: int) -> int:
    if port.isascii() and port.isdigit() and 0 < int(port) <= 65535:
        return int(port)
    if port:
        _log.warning("port %r is not one of 1 to 65535, using %d", port, default)
    return default
