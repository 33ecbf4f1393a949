"""The OpenAPI document and the page that shows it."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from api.dialects import dialect_of
from api.errors import ERRORS
from api.wire_documentation import DIFFERENCES
from jobs.wire import WIRE_ROUTES
from jobs.workers import InstalledModel
from tests.unit.api.conftest import Api

PROBLEM = "application/problem+json"
MODEL = InstalledModel("llama3.1:8b", 1, is_loaded=True)
# Both can only happen at a path or with a method that the document doesn't have.
LATER = {"Prefer": "respond-async"}  # a drop-in route would wait for a worker
OUTSIDE = {"route_not_found", "method_not_allowed", "ollama_not_reached"}


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.client.get("/api/openapi.json").get_json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every body of an operation's request and answers, by media type."""
    for described in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from described.get("content", {}).items()


def examples(content: dict[str, Any]) -> list[Any]:
    named = [example["value"] for example in content.get("examples", {}).values()]
    return named or [content["example"]]


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """Each has a summary, a tag and a name of its own; no path is there twice for its last slash."""
    found = list(operations(document))
    assert len(found) > 30
    for _, path, operation in found:
        assert operation["summary"] and operation["tags"], path
    names = [operation["operationId"] for _, _, operation in found]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z_]+", name) for name in names)
    paths = [path.rstrip("/") for path in document["paths"]]
    assert len(set(paths)) == len(paths)


def test_the_version_is_the_project_s(document: dict[str, Any]) -> None:
    """The document's version is pyproject.toml's, and its format is OpenAPI 3.1."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert document["info"]["version"] == project["version"]
    assert document["openapi"].startswith("3.1")


def test_security_is_declared(document: dict[str, Any]) -> None:
    """A key is sent as Bearer token or by Basic; only what is open to all needs none."""
    schemes = document["components"]["securitySchemes"]
    assert {scheme["scheme"] for scheme in schemes.values()} == {"bearer", "basic"}
    assert [set(one) for one in document["security"]] == [{"bearer"}, {"basic"}]
    without = {path for _, path, operation in operations(document) if operation.get("security") == []}
    assert without == {"/healthz/", "/api/version"}


def test_every_answer_has_an_example_of_its_schema(document: dict[str, Any]) -> None:
    """Each body in the document has an example, and its schema accepts it."""
    for method, path, operation in operations(document):
        for media_type, content in bodies(operation):
            schema = {**content.get("schema", {}), "components": document["components"]}
            for example in examples(content):
                problems = [error.message for error in Draft202012Validator(schema).iter_errors(example)]
                assert not problems, f"{method} {path} {media_type}: {problems}"


def test_every_error_is_documented(document: dict[str, Any]) -> None:
    """Each error status has the problem's schema and all its codes; together they are the table's."""
    codes: set[str] = set()
    for method, path, operation in operations(document):
        if dialect_of(path) is not None:
            continue
        for status, answer in operation["responses"].items():
            if int(status) < 400 or PROBLEM not in answer["content"]:
                assert int(status) < 400 or (path, status) == ("/api/health/", "503"), f"{method} {path}"
                continue
            content = answer["content"][PROBLEM]
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
            expected = {kind.code for kind in ERRORS.values() if kind.status == int(status)}
            assert set(content["examples"]) == expected
            codes |= expected
    every = {kind.code for kind in ERRORS.values()}
    assert codes | OUTSIDE == every
    assert set(document["components"]["schemas"]["Problem"]["properties"]["code"]["examples"]) == every


def test_the_drop_in_routes_errors_are_those_of_their_clients(document: dict[str, Any]) -> None:
    """A text for Ollama's, an object for OpenAI's, and no problem."""
    shapes = {"ollama": "string", "openai": "object"}
    found = [(dialect_of(path), operation) for _, path, operation in operations(document)]
    assert Counter(dialect for dialect, _ in found if dialect) == {"ollama": 14, "openai": 5}
    for dialect, operation in found:
        if dialect is None:
            continue
        assert operation["tags"] == [{"ollama": "Ollama", "openai": "OpenAI"}[dialect]]
        errors = {status: answer for status, answer in operation["responses"].items() if int(status) >= 400}
        assert {"401", "403", "500", "503"} <= errors.keys() and "422" not in errors
        for answer in errors.values():
            (schema,) = (content["schema"] for content in answer["content"].values())
            assert schema["properties"]["error"]["type"] == shapes[dialect]


def test_what_differs_from_ollama_is_said_once(document: dict[str, Any]) -> None:
    """In the same words as in docs/api.md."""
    (tag,) = (tag for tag in document["tags"] if tag["name"] == "Ollama")
    assert DIFFERENCES in tag["description"]
    assert DIFFERENCES in Path("docs/api.md").read_text()


def test_every_request_example_works(report: Callable[..., None], api: Api, document: dict[str, Any]) -> None:
    """Each example of a request, sent as it is by an admin, gets a 2xx that the document has."""
    report(MODEL)
    admin = api.keys.create("admin", role="admin")
    sent = 0
    for method, path, operation in operations(document):
        if "requestBody" not in operation:
            continue
        if dialect_of(path) and path not in WIRE_ROUTES:
            continue  # passed on to an Ollama: tests/integration/test_model_administration.py
        key_id = api.keys.issue("other").key.id
        for example in examples(operation["requestBody"]["content"]["application/json"]):
            real = path.replace("{key_id}", key_id).replace("{job_id}", api.submit(model=MODEL.name))
            answer = api.request(method, real, key=admin, json=example, headers=LATER)
            assert answer.status_code < 300, f"{method} {path}: {answer.text}"
            assert str(answer.status_code) in operation["responses"]
            sent += 1
    assert sent > 10


@pytest.mark.parametrize("path", ["/api/docs", "/api/docs/"])
def test_the_page_is_its_own(api: Api, path: str) -> None:
    """The page needs no key, and all it loads is from here, is there, and is what it says."""
    page = api.client.get(path)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    loaded = re.findall(r'(?:src|href|data-document)="([^"]+)"', page.text)
    types = {}
    for address in loaded:
        if not address.startswith("data:"):
            assert re.match("/[^/]", address), address
            with api.client.get(address) as answer:
                assert answer.status_code == 200, address
                types[address.strip("/").rpartition(".")[2]] = answer.mimetype
    assert types == {"css": "text/css", "js": "text/javascript", "json": "application/json"}


def test_the_page_behind_a_prefix(api: Api) -> None:
    """Where the server puts a prefix before every path, the page and the document have it too."""
    page = api.client.get("/api/docs/", environ_overrides={"SCRIPT_NAME": "/queue"})
    assert 'data-document="/queue/api/openapi.json' in page.text
    document = api.client.get("/api/openapi.json", environ_overrides={"SCRIPT_NAME": "/queue"}).get_json()
    assert document["servers"] == [{"url": "/queue"}]


def test_the_page_has_no_other_files(api: Api) -> None:
    """A name that is not one of the page's files gets 404."""
    for name in ("no-such.js", "..%2f__init__.py"):
        assert api.client.get(f"/api/docs/{name}").status_code == 404
