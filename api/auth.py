"""Who asks: the API key of a request, checked before any view runs."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, current_app, g, request
from sqlalchemy.exc import SQLAlchemyError

from api.configuration import current_settings
from api.database import get_database
from api.errors import ForeignRequest, Unauthorized
from jobs.key_usage import KeyUsage
from jobs.keys import LOCAL_KEY_ID, Caller, KeyService
from jobs.known_keys import KnownKeys
from setting_values import is_loopback

View = TypeVar("View", bound=Callable[..., Any])
_KEYS = "paddock.known_keys"
_USAGE = "paddock.key_usage"
_LOCAL_CALLER = Caller(LOCAL_KEY_ID, LOCAL_KEY_ID, "admin")


def open_to_all(view: View) -> View:
    """Marks a view that needs no key."""
    view.needs_no_key = True  # type: ignore[attr-defined]
    return view


def survives_database(view: View) -> View:
    """Marks a view that is to answer although, without the database, no key can be checked."""
    view.survives_database = True  # type: ignore[attr-defined]
    return view


def caller() -> Caller:
    """Who asks; the view needs a key."""
    found: Caller = g.caller
    return found


def is_verified() -> bool:
    """Whether the caller's key has been checked; always, except in a view that survives the database."""
    return "caller" in g


def _authenticate() -> None:
    """
    Find out who asks, or refuse.

    An unknown route needs no key: its answer is 404 for everybody.
    """
    if current_settings().auth == "off":
        _refuse_foreigners()
        g.caller = _LOCAL_CALLER
        return
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or getattr(view, "needs_no_key", False):
        return
    try:
        g.caller = _verify(_given_key())
    except SQLAlchemyError:
        if not getattr(view, "survives_database", False):
            raise


def _given_key() -> str:
    given = request.authorization
    if given is not None and given.type == "bearer" and given.token:
        return given.token
    if given is not None and given.type == "basic" and given.password:
        return given.password
    raise Unauthorized


def _verify(key: str) -> Caller:
    keys: KnownKeys = current_app.extensions[_KEYS]
    found = keys.verify(key)
    if found is None:
        raise Unauthorized("The API key is unknown, expired or revoked.")
    usage: KeyUsage = current_app.extensions[_USAGE]
    usage.note(found)
    return found


def _refuse_foreigners() -> None:
    """A page of the internet must not reach us through its reader's browser, under any name."""
    if not _is_local(request.host):
        raise ForeignRequest('The Host header names another machine; use "localhost".')
    origin = request.headers.get("Origin")
    if origin is not None and not _is_local(urlsplit(origin).netloc):
        raise ForeignRequest("The Origin header names another machine's page.")


def _is_local(authority: str) -> bool:
    try:
        host = urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return False
    return is_loopback(host) or host.endswith(".localhost")


def init_auth(app: Flask) -> None:
    with app.app_context():
        app.extensions[_KEYS] = KnownKeys(KeyService(get_database()))
        app.extensions[_USAGE] = KeyUsage(get_database())
    app.before_request(_authenticate)
