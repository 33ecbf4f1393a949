"""Requests made from the OpenAPI document, good and bad, as a user and as an admin."""

from collections import Counter
from collections.abc import Callable

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.schemas import APIOperation

from api.dialects import dialect_of
from jobs.inventories import Inventory, publish_inventory
from jobs.wire import WIRE_ROUTES
from jobs.workers import InstalledModel
from tasks import resources
from tests.unit.api.conftest import Api

MODEL = "llama3.1:8b"  # the examples'
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
SETTINGS = settings(
    derandomize=True,
    database=None,
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Walk:
    """One caller's way through all operations."""

    def __init__(self, api: Api, role: str) -> None:
        self.api = api
        self.is_admin = role == "admin"
        self.key = api.keys.create("walker", role=role)
        schema = schemathesis.openapi.from_wsgi("/api/openapi.json", api.app)
        self.operations = [
            operation
            for operation in (found.ok() for found in schema.get_all_operations())
            if self._can_be_asked(operation)
        ]
        self.calls: Counter[str] = Counter()
        self.successes: Counter[str] = Counter()

    def _can_be_asked(self, operation: APIOperation) -> bool:
        """
        Without a worker and its Ollama, to which some drop-in routes pass on what they are asked.

        Those that generate are asked to answer later: their answers in one piece and their streams are
        held against recordings of Ollama's (tests/conformance). None looks at the role.
        """
        if dialect_of(operation.path) is None:
            return True
        return not self.is_admin and (operation.method == "get" or operation.path in WIRE_ROUTES)

    def go(self, case: Case) -> None:
        """Send a request and check its answer."""
        label = case.operation.label
        if self.calls[label] % 2 == 0:
            self._give_ids(case)
        self.calls[label] += 1
        headers = {"Authorization": f"Bearer {self.key}"}
        if case.operation.path in WIRE_ROUTES:
            headers["Prefer"] = "respond-async"
        response = case.call(headers=headers)
        self.successes[label] += response.status_code < 300
        case.validate_response(response, checks=CHECKS)

    def _give_ids(self, case: Case) -> None:
        """Put a job or key that is there, and in a state that suits, in the place of an invented one."""
        if "job_id" in case.path_parameters:
            case.path_parameters["job_id"] = self._job(case.operation)
        if "key_id" in case.path_parameters:
            case.path_parameters["key_id"] = self.api.keys.issue("other").key.id
        if case.operation.path == "/v1/models/{name}":
            case.path_parameters["name"] = MODEL

    def _job(self, operation: APIOperation) -> str:
        path = operation.path
        job_id = self.api.submit(key=self.key, model=MODEL)
        if path.endswith("/retry/"):
            self.api.fail(job_id)
        elif operation.method != "patch" and not path.endswith("/cancel/"):
            self.api.complete(job_id)
        return job_id

    def surprises(self) -> list[str]:
        """The operations that never answered with 2xx, or did although the caller may not use them."""
        labels = [operation.label for operation in self.operations]
        assert len(labels) > 30
        return [label for label in labels if bool(self.successes[label]) != self._may_use(label)]

    def _may_use(self, label: str) -> bool:
        return self.is_admin or "/api/admin/" not in label


@pytest.mark.parametrize("role", ["user", "admin"])
def test_every_answer_is_as_documented(api: Api, report: Callable[..., None], role: str) -> None:
    """
    Whatever is asked, the answer's status, type and body are in the document, and never 5xx;
    and the operations that the caller may use, and no others, have answered with 2xx.
    """
    walk = Walk(api, role)
    publish_inventory(resources.get_resources().redis, "w1", Inventory([{"name": MODEL}], []))
    failures = {}
    for operation in walk.operations:
        report(InstalledModel(MODEL, 1, is_loaded=True), ollama_version="0.24.0")  # soon too old
        try:
            requests_to(operation, walk.go)()
        except (FailureGroup, Failure) as found:
            failures[operation.label] = found
    assert not failures, "\n".join(f"{label}: {found}" for label, found in failures.items())
    assert walk.surprises() == []


def requests_to(operation: APIOperation, send: Callable[[Case], None]) -> Callable[[], None]:
    """Sends the operation's examples, the edges of its schemas, and some made at random, always the same."""

    def check(case: Case) -> None:
        send(case)

    config = HypothesisTestConfig(operation.schema.config, modes=list(HypothesisTestMode), settings=SETTINGS)
    made: Callable[[], None] = create_test(operation=operation, test_func=check, config=config)
    return made
