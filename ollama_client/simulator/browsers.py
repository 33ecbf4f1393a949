"""Who may ask: Ollama's rules for the Host and Origin headers, and its plain-text 404 and 405."""

import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal")
_ORIGIN_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - compared, not bound
_ORIGIN_SCHEMES = ("app", "file", "tauri", "vscode-webview", "vscode-file")
_ALLOWED_HEADERS = (
    "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,Openai-Beta,X-Stainless-Arch,"
    "X-Stainless-Async,X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,"
    "X-Stainless-Os,X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,"
    "X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Timeout"
)


@web.middleware
async def admit(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse foreign hosts and origins; answer what no route takes as Ollama does."""
    if not is_local_host(request.headers.get("Host", "")):
        return web.Response(status=403, headers={"Content-Length": "0"})
    origin = request.headers.get("Origin")
    if origin and not _is_allowed_origin(origin):
        return web.Response(status=403)
    if origin and request.method == "OPTIONS":
        return _preflight(request, origin)
    try:
        response = await handler(request)
    except web.HTTPNotFound:
        response = _unknown_path(request)
    except web.HTTPMethodNotAllowed as error:
        headers = {"Allow": ", ".join(sorted(error.allowed_methods)), "Content-Type": "text/plain"}
        response = web.Response(body=b"405 method not allowed", status=405, headers=headers)
    if origin and not response.prepared:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Vary"] = "Origin"
    return response


def is_local_host(header: str) -> bool:
    """Whether a Host header names this machine or one near it; a public name is refused (DNS rebinding)."""
    host = urlsplit(f"//{header}").hostname or ""
    if host in ("", "localhost") or host.endswith(_LOCAL_SUFFIXES):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host
    return address.is_loopback or address.is_private or address.is_unspecified


def _is_allowed_origin(origin: str) -> bool:
    parts = urlsplit(origin)
    return parts.scheme in _ORIGIN_SCHEMES or parts.hostname in _ORIGIN_HOSTS


def _preflight(request: web.Request, origin: str) -> web.Response:
    response = web.Response(status=204)
    response.headers.update(
        {
            "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
            "Access-Control-Allow-Methods": "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Max-Age": "43200",
            "Allow": "GET" if request.path in ("/", "/api/tags", "/api/ps", "/api/version") else "POST",
        }
    )
    for header in ("Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"):
        response.headers.add("Vary", header)
    return response


def _unknown_path(request: web.Request) -> web.Response:
    path = request.path.rstrip("/")
    known = {resource.canonical for resource in request.app.router.resources()}
    if path != request.path and path in known:
        status = 301 if request.method == "GET" else 307
        return web.Response(status=status, headers={"Location": path})
    return web.Response(body=b"404 page not found", status=404, headers={"Content-Type": "text/plain"})
