"""Which of our errors a status or a failure beneath becomes."""

import http.client
import socket
import ssl

import pytest
import urllib3

from ollama_client.call import Call
from ollama_client.errors import (
    Aborted,
    BadRequest,
    ConnectionCut,
    FirstTokenTimeout,
    InvalidResponse,
    ModelNotFound,
    OllamaBusy,
    OllamaUnavailable,
    ServerError,
)
from ollama_client.limits import Limits, Timer
from ollama_client.translation import error_of_status, explain, translated


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (404, b'{"error":"model \'x\' not found"}', ModelNotFound, "model 'x' not found"),
        (404, b"404 page not found", BadRequest, "Ollama answered 404 Not Found"),
        (400, b'{"error":{"message":"invalid input"}}', BadRequest, "invalid input"),
        (403, b"", BadRequest, "Ollama answered 403 Forbidden"),
        (500, b'{"error":3}', ServerError, "Ollama answered 500 Internal Server Error"),
        (599, b"[1]", ServerError, "Ollama answered 599 "),
        (503, b'{"error":"server busy"}', OllamaBusy, "server busy"),
        (502, b"<html>", OllamaUnavailable, "Ollama answered 502 Bad Gateway"),
        (502, b'{"error":"upstream"}', ServerError, "upstream"),
        (307, b"", InvalidResponse, "Ollama's address redirects (307) to nowhere"),
    ],
)
def test_a_status_has_its_error(status, body, kind, message):
    """Ollama's own words where there are any; what it means is read from the status."""
    error = error_of_status(status, {}, body)
    assert (type(error), str(error), error.status) == (kind, message, status)


def test_a_redirect_names_where_it_leads():
    """It is not followed: the address is to be set right."""
    assert "to http://b/" in str(error_of_status(301, {"Location": "http://b/"}, b""))


def test_a_body_is_kept_as_it_was():
    """JSON as its value, other text as text, none as None."""
    found = [error_of_status(500, {}, body).body for body in (b'{"a": 1}', b"caf\xff", b"")]
    assert found == [{"a": 1}, "caf\ufffd", None]


def call(connected=False, where="http://gpu:11434"):
    """A call that has come so far."""
    made = Call(Timer(Limits()), where=where)
    made.connected = connected
    made.timer.sending()
    return made


def untrusted():
    """A certificate that is not accepted, as ssl tells it."""
    error = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("cause", "connected", "kind", "message"),
    [
        (TimeoutError(), True, FirstTokenTimeout, "Ollama timed out"),
        (TimeoutError(110, "Connection timed out"), True, ConnectionCut, "cut: Connection timed out"),
        (ConnectionRefusedError(111, "Connection refused"), False, OllamaUnavailable, "Connection refused"),
        (socket.gaierror(-2, "Name not known"), False, OllamaUnavailable, "unknown host: Name not known"),
        (socket.gaierror("label too long"), False, OllamaUnavailable, "unknown host: label too long"),
        (untrusted(), False, OllamaUnavailable, "its certificate is not accepted: self-signed certificate"),
        (http.client.RemoteDisconnected("gone"), True, ConnectionCut, "closed before an answer"),
        (http.client.IncompleteRead(b""), True, ConnectionCut, "ended in the middle of an answer"),
        (http.client.BadStatusLine("HTTP/1.1 2"), True, ConnectionCut, "ended in the middle"),
        (http.client.BadStatusLine("SSH-2.0\r\n"), True, InvalidResponse, "did not answer in HTTP"),
        (http.client.LineTooLong("header line"), True, InvalidResponse, "did not answer in HTTP"),
    ],
)
def test_a_failure_beneath_has_its_error(cause, connected, kind, message):
    """However deep the libraries have wrapped it."""
    wrapped = urllib3.exceptions.ProtocolError("Connection aborted.", cause)
    error = explain(wrapped, call(connected))
    assert type(error) is kind
    assert message in str(error)


def test_an_address_is_named_if_it_is_known():
    """Without user name and password, which the call never has."""
    failure = OSError(111, "Connection refused")
    assert str(explain(failure, call())) == "Ollama at http://gpu:11434 is not reachable: Connection refused"
    assert str(explain(failure, call(where=""))) == "Ollama is not reachable: Connection refused"


def test_what_fails_because_of_an_abort_is_the_abort():
    """A socket shut down under its reader fails in many ways."""
    aborted = call(connected=True)
    aborted.abort()
    with pytest.raises(Aborted), translated(aborted):
        raise ConnectionResetError(104, "Connection reset by peer")


def test_our_own_mistakes_are_not_translated():
    """They are no errors of Ollama."""
    with pytest.raises(KeyError), translated(call()):
        raise KeyError("x")
