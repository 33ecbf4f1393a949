"""The body of one HTTP answer, read as it arrives, every wait within the call's limits."""

from contextlib import suppress

import requests

from ollama_client.call import Call
from ollama_client.errors import ConnectionCut, OllamaError
from ollama_client.translation import error_of_status, translated

_READ_BYTES = 65536
_DRAIN_SECONDS = 0.25


class Answer:
    """
    Bytes of an answer whose headers have arrived.

    Raises:
        OllamaError: From the constructor, for a status of 300 and above; the body is read for it.
    """

    def __init__(self, response: requests.Response, call: Call) -> None:
        self._response = response
        self._call = call
        headers = response.headers
        self.content_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        # http.client takes a cut among the headers for their end: such an answer lacks both.
        self._framed = (
            "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()
        )
        if response.status_code >= 300:
            body = self.read_all()
            raise error_of_status(response.status_code, headers, body)

    def read(self) -> bytes:
        """
        What has arrived, at least a byte; empty at the proper end.

        Raises:
            OllamaError: A limit ran out, the connection was cut, or the call was aborted.
        """
        self._call.check()
        self._call.set_socket_timeout()
        with translated(self._call):
            data: bytes = self._response.raw.read1(_READ_BYTES, decode_content=False)
        self._call.check()
        if not data and not self._framed:
            raise ConnectionCut("The connection to Ollama ended without saying that the answer was complete")
        return data

    def read_all(self) -> bytes:
        """The whole body; closes the answer in any case."""
        parts = []
        try:
            while data := self.read():
                parts.append(data)
                self.continued()
        except ConnectionCut:
            # An old proxy ends a complete body by closing.
            if self._framed or not parts:
                raise
        finally:
            self.close()
        return b"".join(parts)

    def continued(self) -> None:
        """A line has arrived: from now on the limit between tokens counts."""
        self._call.timer.reading_on()

    def drain(self) -> None:
        """Read the end mark that follows the last line, so that the connection can be kept."""
        self._call.limit_socket(_DRAIN_SECONDS)
        with suppress(OllamaError), translated(self._call):
            while self._response.raw.read1(_READ_BYTES, decode_content=False):
                pass

    def close(self) -> None:
        """Done with it: what is not read to its end has its connection closed, so Ollama stops."""
        self._call.finish()
        self._response.close()
