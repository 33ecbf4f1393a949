"""What stops a start: taken ports, addresses of other machines, Paddock itself."""

import socket
from collections.abc import Iterator

import pytest

from settings import Settings
from stack.checks import check_not_itself, check_ports
from stack.errors import StackError


def settings_with(**values: object) -> Settings:
    """Settings of which only these matter."""
    return Settings.model_construct(**{"host": "127.0.0.1", "port": 8000, "ollama_hosts": (), **values})


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which another program listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def free() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_taken_port_is_named_with_its_variable(taken: int, free: int) -> None:
    """Each of the two, with what to do."""
    with pytest.raises(StackError, match=f"^PORT={taken} is taken .* PORT={taken + 1}$"):
        check_ports(settings_with(port=taken, flower_port=free))
    with pytest.raises(StackError, match=f"^FLOWER_PORT={taken} is taken .* FLOWER_PORT={taken + 1}$"):
        check_ports(settings_with(port=free, flower_port=taken))


def test_free_ports_are_fine(free: int) -> None:
    """They are free again afterwards."""
    for _ in range(2):
        check_ports(settings_with(port=free, flower_port=free + 1 if free < 65535 else free - 1))


def test_one_port_for_both_is_refused(free: int) -> None:
    """The second to start would be refused anyway, later and less clearly."""
    with pytest.raises(StackError, match="PORT and FLOWER_PORT are both"):
        check_ports(settings_with(port=free, flower_port=free))


def test_an_address_of_another_machine_is_refused(free: int) -> None:
    """192.0.2.1 is nobody's."""
    with pytest.raises(StackError, match=r"HOST=192\.0\.2\.1 is no address of this machine"):
        check_ports(settings_with(host="192.0.2.1", port=free, flower_port=1))


def test_paddock_itself_is_refused_by_whatever_name() -> None:
    """This machine's own name leads to a server on all of its addresses."""
    settings = settings_with(host="0.0.0.0", ollama_host="http://127.0.0.2:8000")
    with pytest.raises(StackError, match="is Paddock itself"):
        check_not_itself(settings)


@pytest.mark.parametrize(
    ("host", "ollama_host"),
    [
        ("0.0.0.0", "http://192.0.2.1:8000"),
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("127.0.0.1", "http://127.0.0.2:8000"),
    ],
)
def test_another_address_is_not_paddock(host: str, ollama_host: str) -> None:
    """The same port on another machine or another address is another server."""
    check_not_itself(settings_with(host=host, ollama_host=ollama_host))
