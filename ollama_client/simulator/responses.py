"""Responses with the headers that Ollama sends: a short body has a length, a long one is chunked."""

from aiohttp import web

from ollama_client.simulator import go_json

JSON = "application/json; charset=utf-8"
# Go's net/http counts a body that fits its first buffer and chunks what does not.
_COUNTED_BYTES = 2048


def respond(
    body: bytes, status: int = 200, content_type: str = JSON, *, chunked: bool = False
) -> web.Response:
    """A whole response."""
    response = web.Response(body=body, status=status, headers={"Content-Type": content_type})
    if chunked or len(body) > _COUNTED_BYTES:
        response.enable_chunked_encoding()
    return response


def respond_json(value: object, status: int = 200) -> web.Response:
    """A whole response of JSON, without a line break at its end."""
    return respond(go_json.encode(value), status)


def respond_error(message: str, status: int) -> web.Response:
    """An error in Ollama's own shape."""
    return respond_json({"error": message}, status)
