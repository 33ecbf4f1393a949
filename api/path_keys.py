"""
`/key/<key>/` before any path, for programs that can be given an address and nothing else.

The key is taken out of the path before anything looks at it: routing, errors, links
and logs see the rest. Off by default, since addresses end up in histories and in the
logs of whatever lies between.
"""

import logging
import re
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from jobs.keys import KEY_PREFIX

_PATH = re.compile(r"/key/([^/]+)(/.*)?", re.DOTALL)
_SECRET = re.compile(rf"(/key/|{KEY_PREFIX})[^/\s'\"]+")
Wsgi = Callable[[MutableMapping[str, Any], Any], Iterable[bytes]]


class PathKeys:
    """WSGI: moves the key from the path to the header that all others use."""

    def __init__(self, application: Wsgi) -> None:
        self._application = application

    def __call__(self, environ: MutableMapping[str, Any], start_response: Any) -> Iterable[bytes]:
        found = _PATH.fullmatch(environ.get("PATH_INFO", ""))
        if found:
            key, rest = found[1], found[2] or "/"
            environ["PATH_INFO"] = rest
            environ["HTTP_AUTHORIZATION"] = f"Bearer {key}"
            query = environ.get("QUERY_STRING")
            for name in ("RAW_URI", "REQUEST_URI"):  # what servers write into their logs
                if name in environ:
                    environ[name] = f"{rest}?{query}" if query else rest
        return self._application(environ, start_response)


class _WithoutKeys(logging.Filter):
    """The server itself names a request by its whole address where a stream breaks."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        hidden = _SECRET.sub(r"\1…", text)
        if hidden != text:
            record.msg, record.args = hidden, ()
        return True


def init_path_keys(app: Any) -> None:
    """Take keys from paths."""
    app.wsgi_app = PathKeys(app.wsgi_app)
    for name in ("gunicorn.error", "gunicorn.access", "werkzeug"):
        logging.getLogger(name).addFilter(_WithoutKeys())
