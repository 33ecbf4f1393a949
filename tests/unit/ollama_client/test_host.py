"""OLLAMA_HOST is read as Ollama reads it."""

import re

import pytest

from ollama_client.host import join_host, parse_host


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("  ' ' ", "http://127.0.0.1:11434"),
        ("localhost", "http://localhost:11434"),
        ("1.2.3.4", "http://1.2.3.4:11434"),
        ("1.2.3.4:1234", "http://1.2.3.4:1234"),
        (":8080", "http://127.0.0.1:8080"),
        ("gpu:", "http://gpu:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:11434"),
        ("[::]:8080", "http://[::1]:8080"),
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[fe80::1%eth0]:80", "http://[fe80::1%25eth0]:80"),
        ("http://1.2.3.4", "http://1.2.3.4:80"),
        ("https://1.2.3.4", "https://1.2.3.4:443"),
        ("HTTPS://gpu:4321/", "https://gpu:4321"),
        ("https://gpu/ollama/", "https://gpu:443/ollama"),
        ("gpu/ollama", "http://gpu:11434/ollama"),
        ("ollama.com", "https://ollama.com:443"),
        ("https://me:secret@gpu", "https://me:secret@gpu:443"),
        ('"gpu:1"', "http://gpu:1"),
        ("1.2.3.4:66000", "http://1.2.3.4:11434"),
        ("https://1.2.3.4:66000", "https://1.2.3.4:443"),
        ("gpu:-1", "http://gpu:11434"),
        ("gpu:one", "http://gpu:11434"),
    ],
)
def test_values_and_what_they_stand_for(value, url):
    """Defaults, wildcards, IPv6, schemes, paths; a port that is none becomes the default."""
    assert parse_host(value) == url


def test_a_replaced_port_is_reported(caplog):
    """As Ollama does, with a warning."""
    parse_host("gpu:66000")
    assert "66000" in caplog.text


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ("ftp://gpu", "'ftp'"),
        ("g pu", "'g pu'"),
        ("[::1", "bracket"),
        ("[::1]8080", "bracket"),
        ("1:2:3", "1:2:3"),
        ("http://gpu?x=1", "gpu"),
    ],
)
def test_what_can_not_be_an_address_is_named(value, wrong):
    """The error quotes the part that is wrong."""
    with pytest.raises(ValueError, match=re.escape(wrong)):
        parse_host(value)


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("localhost", 11434, "http://localhost:11434"),
        ("::1", 5, "http://[::1]:5"),
        ("0.0.0.0", 5, "http://127.0.0.1:5"),
        ("gpu:99", 5, "http://gpu:99"),
        ("https://gpu/x", 5, "https://gpu:443/x"),
    ],
)
def test_host_and_port_apart(host, port, url):
    """What the host brings itself wins."""
    assert join_host(host, port) == url
