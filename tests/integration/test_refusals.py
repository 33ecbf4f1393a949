"""What is refused, on real sockets, with keys of two users and an admin: status, code and shape."""

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jobs.instants import utc_now
from jobs.key_limits import KeyLimits
from jobs.keys import KeyService
from jobs.wire import WIRE_ROUTES
from tests.environment import new_database
from tests.integration.web import LIMIT_BYTES, SUBMIT, WebServer
from tests.support.valkey import Valkey

pytestmark = pytest.mark.one_database

DIGEST = "sha256:" + "0" * 64
UNKNOWN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
LATER = {"Prefer": "respond-async"}  # nobody works here
SUBMITS = (SUBMIT, "/api/chat", "/v1/chat/completions")  # one for each shape of an error
DROP_IN = tuple(WIRE_ROUTES)
OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class World:
    """A server, its keys, and a job of a user who is not the one that asks."""

    def __init__(self, server: WebServer) -> None:
        self.server = server
        keys = KeyService(server.database)
        past = KeyLimits(expires_at=utc_now() - timedelta(seconds=1))
        self.keys = {
            "ours": keys.create("ours"),
            "theirs": keys.create("theirs"),
            "admin": keys.create("admin", role="admin"),
            "low": keys.issue("low", limits=KeyLimits(priority_ceiling=7)).secret,
            "beta": keys.issue("beta", limits=KeyLimits(allowed_models=["beta"])).secret,
            "expired": keys.issue("expired", limits=past).secret,
            "revoked": keys.create("revoked"),
            "unknown": "pdk_unknown",
        }
        keys.revoke("revoked")
        self.job_id = str(self.ask("theirs", "POST", SUBMIT, body_for(SUBMIT)).json["job_id"])

    def ask(self, who: str | None, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        given = {"Authorization": f"Bearer {self.keys[who]}"} if who else {}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        lines = {**given, **headers, "Content-Type": "application/json"}
        raw = "".join(f"{name}: {value}\r\n" for name, value in lines.items()).encode()
        return self.send(f"{method} {path} HTTP/1.1".encode(), raw, data or b"")

    def send(self, request_line: bytes, headers: bytes, body: bytes = b"") -> Answer:
        """What the server answers to these very bytes."""
        length = b"Content-Length: %d\r\n" % len(body)
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as connection:
            connection.sendall(
                request_line
                + b"\r\nHost: localhost\r\nConnection: close\r\n"
                + length
                + headers
                + b"\r\n"
                + body
            )
            received = b"".join(iter(lambda: connection.recv(65536), b""))
        head, _, text = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        named = dict(line.split(": ", 1) for line in lines)
        return Answer(int(first.split()[1]), {name.lower(): named[name] for name in named}, text.decode())

    def count_jobs(self) -> int:
        return len(self.ask("admin", "GET", "/api/llm/jobs/?limit=200").json["jobs"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    valkey = Valkey()
    valkey.start()
    folder: Path = tmp_path_factory.mktemp("refusals")
    server = WebServer(folder, new_database(folder), valkey.url, PADDOCK_PATH_KEYS="on")
    made = World(server)
    yield made
    server.close()
    valkey.close()
    log = server.log.read_text()
    assert "Traceback" not in log and "[ERROR]" not in log
    assert [name for name, key in made.keys.items() if key in log] == []


def body_for(path: str, **fields: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"model": "alpha", **fields}
    if path.endswith(("chat", "chat/completions")):
        return {"messages": [{"role": "user", "content": "Why?"}], **asked}
    if path.endswith(("embed", "v1/embeddings")):
        return {"input": "Why?", **asked}
    return {"prompt": "Why?", **asked}


def assert_refused(answer: Answer, path: str, status: int, code: str) -> None:
    """In the shape that the route's clients read; 422 is 400 for Ollama's and OpenAI's."""
    is_openai = path.startswith("/v1")
    is_ollama = not is_openai and path.split("/")[2] not in {"llm", "admin", "ollama_models", "health"}
    if (is_openai or is_ollama) and status == 422:
        status = 400
    assert answer.status == status, answer
    content_type = answer.headers["content-type"]
    if is_openai:
        error = answer.json["error"]
        assert (content_type, error["code"]) == ("application/json", code)
        assert error["type"] == OPENAI_TYPES.get(status, "invalid_request_error") and error["message"]
    elif is_ollama:
        assert content_type == "application/json; charset=utf-8"
        assert set(answer.json) == {"error"} and isinstance(answer.json["error"], str)
    else:
        assert content_type == "application/problem+json"
        assert (answer.json["status"], answer.json["code"]) == (status, code)
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("who", [None, "unknown", "expired", "revoked"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("POST", path) for path in (SUBMIT, *DROP_IN, "/api/show", "/api/pull")),
        *(("GET", path) for path in ("/api/llm/jobs/", "/api/tags", "/api/ps", "/v1/models", "/v1/models/a")),
        ("GET", "/api/admin/keys/"),
        ("GET", "/api/health"),
    ],
)
def test_a_key_that_is_none_opens_nothing(world: World, who: str | None, method: str, path: str) -> None:
    """No key, and one that is unknown, expired or revoked; in the path as well."""
    body = body_for(path) if method == "POST" else None
    answer = world.ask(who, method, path, body)
    assert_refused(answer, path, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="paddock"'
    if who:
        in_path = world.ask(None, method, f"/key/{world.keys[who]}{path}", body)
        assert_refused(in_path, path, 401, "unauthorized")


OTHERS_JOB = [
    *(("GET", part) for part in ("", "status/", "status/?wait=5", "result/", "events/", "history/", "why/")),
    *(("POST", part) for part in ("cancel/", "retry/")),
    ("PATCH", ""),
]


@pytest.mark.parametrize(("method", "part"), OTHERS_JOB)
def test_another_key_s_job_is_not_there(world: World, method: str, part: str) -> None:
    """By any route, exactly as one that never was; an admin sees it."""
    body = {"priority": 9} if method == "PATCH" else None
    theirs, none = (f"/api/llm/jobs/{job_id}/{part}" for job_id in (world.job_id, UNKNOWN_ID))
    refused, unknown = (world.ask("ours", method, path, body) for path in (theirs, none))
    assert_refused(refused, theirs, 404, "job_not_found")
    assert {**refused.json, "request_id": ""} == {**unknown.json, "request_id": ""}
    assert world.ask("admin", "GET", f"/api/llm/jobs/{world.job_id}/").json["status"] == "pending"


def test_another_key_s_job_is_in_no_list(world: World) -> None:
    """And the plain route says of it what it says of an unknown one; nor is its Idempotency-Key ours."""
    assert world.job_id not in world.ask("ours", "GET", "/api/llm/jobs/").text
    assert world.job_id in world.ask("theirs", "GET", "/api/llm/jobs/").text
    state = world.ask("ours", "GET", f"/api/ollama_models/job_status?job_id={world.job_id}")
    assert (state.status, state.json) == (200, {"state": "pending"})
    for path in SUBMITS:
        made = [
            world.ask(who, "POST", path, body_for(path), **LATER, **{"Idempotency-Key": path})
            for who in ("ours", "theirs")
        ]
        assert [answer.status for answer in made] == [202, 202]
        assert made[0].json["job_id"] != made[1].json["job_id"]


def test_admins_routes_are_closed_to_users(world: World) -> None:
    """Each that the document has, and those of Ollama that install and remove models."""
    document = world.ask(None, "GET", "/api/openapi.json").json
    routes = [
        (method.upper(), path.format(job_id=world.job_id, key_id=UNKNOWN_ID, model="alpha"))
        for path, methods in document["paths"].items()
        for method in methods
        if path.startswith("/api/admin/")
    ]
    assert len(routes) > 12
    routes += [("POST", f"/api/{name}") for name in ("pull", "push", "create", "copy", f"blobs/{DIGEST}")]
    routes += [("DELETE", "/api/delete")]
    for method, path in routes:
        answer = world.ask("ours", method, path, {} if method != "GET" else None)
        assert_refused(answer, path, 403, "forbidden")
    assert world.ask("ours", "HEAD", f"/api/blobs/{DIGEST}").status == 403


@pytest.mark.parametrize("path", [SUBMIT, *DROP_IN, "/api/show", "/api/ollama_models/query"])
def test_a_model_that_is_not_the_key_s_is_refused(world: World, path: str) -> None:
    """By name; nothing is queued."""
    before = world.count_jobs()
    answer = world.ask("beta", "POST", path, body_for(path))
    assert_refused(answer, path, 403, "model_not_allowed")
    assert world.count_jobs() == before


@pytest.mark.parametrize("path", [SUBMIT, *DROP_IN])
def test_a_priority_above_the_ceiling_is_lowered_and_said(world: World, path: str) -> None:
    """Not refused: the job has the ceiling's, and X-Priority says it."""
    asked = body_for(path, priority="urgent") if path == SUBMIT else body_for(path)
    answer = world.ask("low", "POST", path, asked, **LATER, **{"X-Priority": "urgent"})
    assert (answer.status, answer.headers["x-priority"], answer.json["priority"]) == (202, "7", 7)
    moved = world.ask("low", "PATCH", f"/api/llm/jobs/{answer.json['job_id']}/", {"priority": 0})
    assert (moved.status, moved.headers["x-priority"], moved.json["priority"]) == (200, "7", 7)


@pytest.mark.parametrize("path", [SUBMIT, *DROP_IN])
@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b'{"prompt": "' + b"x" * LIMIT_BYTES + b'"}', 413, "body_too_large"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400, "broken_json"),
        (b"[" * 10_000 + b"]" * 10_000, 400, "broken_json"),
        (b'{"a": ' + b"[" * 10_000, 400, "broken_json"),
        (b'{"prompt": NaN}', 400, "broken_json"),
        (b'{"prompt": "\xff"}', 400, "broken_json"),
    ],
    ids=["too-large", "deep-objects", "deep-arrays", "deep-unclosed", "nan", "no-utf-8"],
)
def test_a_body_that_can_t_be_read(world: World, path: str, data: bytes, status: int, code: str) -> None:
    """Refused in the route's shape, although the connection is to be closed."""
    assert_refused(world.ask("ours", "POST", path, data), path, status, code)


ADMINISTRATION = [
    ("POST", "/api/pull", "model"),
    ("POST", "/api/pull", "name"),
    ("POST", "/api/push", "model"),
    ("POST", "/api/create", "from"),
    ("POST", "/api/copy", "source"),
    ("POST", "/api/copy", "destination"),
    ("DELETE", "/api/delete", "model"),
]
BAD_NAMES = [
    "..",
    "../alpha",
    "a/../alpha",
    "a%2Fb",
    "%2e%2e",
    "%2e%2e%2falpha",
    "a\\..\\b",
    "a b",
    "/etc",
    "x" * 300,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_no_model_s_in_a_body(world: World, name: str) -> None:
    """A path, encoded or not, is no name."""
    for path in (SUBMIT, *DROP_IN):
        answer = world.ask("ours", "POST", path, body_for(path, model=name))
        code = "invalid_request" if path == SUBMIT else "wrong_field"
        assert_refused(answer, path, 422 if path == SUBMIT else 400, code)
    for method, path, field in ADMINISTRATION:
        answer = world.ask("admin", method, path, {field: name})
        assert_refused(answer, path, 400, "wrong_field")
    shown = world.ask("ours", "POST", "/api/show", {"model": name})
    assert_refused(shown, "/api/show", 404, "model_not_found")


@pytest.mark.parametrize(
    "name",
    ["..", "%2e%2e", "..%2F..%2Fetc", "%2e%2e%2f%2e%2e%2fetc", "a/../b", "a/%2e%2e/b", "%00", "%ff", "a%0Ab"],
)
def test_a_name_that_is_no_model_s_in_a_path(world: World, name: str) -> None:
    """Nothing is taken apart or joined: the routes beside it are not reached."""
    path = f"/v1/models/{name}"
    code = "route_not_found" if "%0A" in name else "model_not_found"
    assert_refused(world.ask("ours", "GET", path), path, 404, code)
    for method, part in (("DELETE", ""), ("POST", "pause/"), ("POST", "resume/")):
        path = f"/api/admin/queues/{name}/{part}"
        answer = world.ask("admin", method, path)
        assert answer.status in {404, 405, 422}, answer
        assert answer.headers["content-type"] == "application/problem+json"
    blob = world.ask("admin", "POST", f"/api/blobs/{name}", b"x")
    assert blob.status in {400, 404}


@pytest.mark.parametrize(
    "key",
    [
        "..",
        "%2e%2e",
        "..%2F..",
        "%2F",
        "{ours}%2F..",
        "{ours}%00",
        "{ours}%0a",
        "%ff",
        "x" * 3000,
    ],
)
def test_a_path_key_that_is_none(world: World, key: str) -> None:
    """Refused, or no route; nobody else's rights."""
    for path in ("/api/llm/jobs/", "/api/tags", "/v1/models"):
        answer = world.ask(None, "GET", f"/key/{key.format(**world.keys)}{path}")
        assert answer.status in {401, 404}, answer
        assert world.keys["ours"] not in answer.text + str(answer.headers)
    rest = world.ask(None, "GET", f"/key/{world.keys['ours']}/..%2f..%2fapi/admin/keys/")
    assert rest.status == 404


HEADERS = ("X-Request-ID", "X-Priority", "X-Job-ID", "X-On-Disconnect", "Idempotency-Key", "Prefer")
VALUES = {
    "lf": b"a\nSet-Cookie: evil=1",
    "cr": b"a\rSet-Cookie: evil=1",
    "crlf": b"a\r\nSet-Cookie: evil=1",
    "folded": b"a\r\n Set-Cookie: evil=1",
    "nul": b"a\x00b",
    "utf-8": "évil\u2028".encode(),
    "no-utf-8": b"\xff\xfeevil",
    "long": b"evil" * 2000,
    "too-long": b"evil" * 10_000,
}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("header", HEADERS)
def test_a_header_is_no_way_into_the_answer(world: World, header: str, value: str) -> None:
    """What is sent comes back in no header and as no header, whatever the request is answered."""
    sent = b"Authorization: Bearer " + world.keys["ours"].encode() + b"\r\nPrefer: respond-async\r\n"
    sent += header.encode() + b": " + VALUES[value] + b"\r\n"
    for path in SUBMITS:
        answer = world.send(f"POST {path} HTTP/1.1".encode(), sent, json.dumps(body_for(path)).encode())
        assert answer.status in {202, 400, 422, 431}, answer
        assert "set-cookie" not in answer.headers
        assert "vil" not in str(answer.headers)
        if answer.status < 400:
            assert answer.headers.get("x-job-id", answer.json["job_id"]) == answer.json["job_id"]
