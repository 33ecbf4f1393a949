"""What would stop a start, each told in one line that says what to do."""

import errno
import ipaddress
import socket
from contextlib import closing
from urllib.parse import urlsplit

from settings import Settings

from .errors import StackError


def check_ports(settings: Settings) -> None:
    """
    Whether the web process and Flower can listen where they are told to.

    Raises:
        StackError: not so; the line names the port and the variable.
    """
    if settings.port == settings.flower_port:
        raise StackError(f"PORT and FLOWER_PORT are both {settings.port}: set one of them to another port")
    for variable, host, port in (
        ("PORT", settings.host, settings.port),
        ("FLOWER_PORT", "127.0.0.1", settings.flower_port),
    ):
        _check_port(variable, host, port)


def _check_port(variable: str, host: str, port: int) -> None:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            # As gunicorn does: connections of an earlier server that linger are no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise StackError(
            f"HOST={host} is no address of this machine: allowed is 127.0.0.1, for one"
        ) from None
    except OSError as error:
        raise StackError(_why_not(error, variable, host, port)) from None


def _why_not(error: OSError, variable: str, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{variable}={port} is taken by another program on {host}: end that one, "
            f"or choose another port with {variable}={port + 1}"
        )
    if error.errno == errno.EACCES:
        return f"{variable}={port} needs administrator rights on this machine: choose a port from 1024"
    return f"HOST={host} is no address of this machine: allowed is 127.0.0.1, for one"


def check_not_itself(settings: Settings) -> None:
    """
    Whether an Ollama's address leads, by whatever name, to where Paddock is about to listen.

    Settings refuse the plain case; here names are looked up.

    Raises:
        StackError: it does.
    """
    for base_url in settings.every_ollama_host:
        url = urlsplit(base_url)
        if url.port == settings.port and url.hostname and _reaches(url.hostname, settings.host):
            raise StackError(
                f"OLLAMA_HOST={base_url} is Paddock itself (HOST={settings.host}, PORT={settings.port}): "
                "set PADDOCK_OLLAMA_HOST to the address of an Ollama"
            )


def _reaches(name: str, bound_to: str) -> bool:
    """Whether a connection to this name ends at a server of this machine bound to that address."""
    try:
        addresses = {str(found[4][0]) for found in socket.getaddrinfo(name, None)}
        bound = {str(found[4][0]) for found in socket.getaddrinfo(bound_to, None)}
    except OSError:
        return False  # a name that can't be looked up now is waited for like an outage
    if any(ipaddress.ip_address(address).is_unspecified for address in bound):
        return any(_is_of_this_machine(address) for address in addresses)
    return bool(addresses & bound)


def _is_of_this_machine(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with closing(socket.socket(family, socket.SOCK_DGRAM)) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
