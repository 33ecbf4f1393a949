"""docs/api.md, docs/celery.md, docs/extending.md and the example page against what they describe."""

import re
from pathlib import Path

import pytest

import tests.environment  # noqa: F401 - before anything reads the settings
from api import create_app
from api.database import get_database
from api.errors import ERRORS
from jobs.requests import SubmitJob
from ollama_client.errors import OllamaError
from settings import ROOT, get_settings
from tasks.task_result import make_result
from tests.support.documents import blocks, document, first_cells, section

API = document("api.md")
PAGE = document("examples/ask.html")
# Scripts and styles; the pages that need them are described.
ASSETS = {"static", "docs_page.asset"}
# Besides Ollama's own errors: what jobs/ and worker/ write into a job themselves.
OWN_CODES = {"worker_lost", "internal_error", "cancelled", "expired"}


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Method and path of every route, without the last slash."""
    file = tmp_path_factory.mktemp("documents") / "paddock.db"
    app = create_app(get_settings().model_copy(update={"database_url": f"sqlite:///{file}"}))
    with app.app_context():
        get_database().close()
    return {
        f"{method} {_plain(rule.rule)}"
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in ASSETS
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def _plain(path: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", path).rstrip("/") or "/"


def described() -> dict[str, str]:
    """What api.md says about each route."""
    found = re.findall(r"^### `([A-Z]+) (\S+)`\n(.*?)(?=^#|\Z)", API, re.MULTILINE | re.DOTALL)
    return {f"{method} {_plain(path)}": text for method, path, text in found}


def test_every_route_is_described_and_every_described_route_exists(routes: set[str]) -> None:
    """docs/api.md has a heading for each route, and for nothing else."""
    assert set(described()) == routes


@pytest.mark.parametrize("route", sorted(described()))
def test_a_route_has_an_example_in_each_language(route: str) -> None:
    """curl, JavaScript and Python."""
    assert [language for language in ("sh", "js", "python") if not blocks(described()[route], language)] == []


def test_every_error_s_code_is_explained() -> None:
    """Code and status as in the table of api/errors.py, each with meaning, cause and remedy."""
    table = section(API, "## Errors").split("### ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    assert {(code, int(status)) for code, status, *_ in rows} == {
        (kind.code, kind.status) for kind in ERRORS.values()
    }
    assert len(rows) == len({code for code, *_ in rows})


def test_every_code_of_a_failed_job_is_explained() -> None:
    """Those of Ollama's errors, and those that the core and the worker write."""

    def codes(error: type[OllamaError]) -> set[str]:
        return {error.code}.union(*(codes(child) for child in error.__subclasses__()))

    assert first_cells(section(API, "### Why a job failed")) == codes(OllamaError) | OWN_CODES


def test_every_field_of_a_submit_is_explained() -> None:
    """The table has the fields of the model that validates."""
    table = described()["POST /api/llm/jobs/submit"].split("With the header")[0]
    assert first_cells(table) == set(SubmitJob.model_fields)


def test_the_fields_of_a_result_are_those_that_celery_md_lists() -> None:
    """Of a generation, a chat and an embedding."""
    figures = ("prompt_tokens", "output_tokens", "tokens_per_second", "load_seconds", "processing_time")
    fields: set[str] = set()
    for kind in ("generate", "chat", "embed"):
        result = make_result(job_id="1", kind=kind, model="m", data=None, figures=dict.fromkeys(figures))
        fields |= set(result)
    table = document("celery.md").split("What a result has:")[1].split("## ")[0]
    assert first_cells(table) == fields


def test_the_example_page_asks_routes_that_exist(routes: set[str]) -> None:
    """And loads nothing from anywhere else."""
    paths = set(re.findall(r"[\"`](/api/[\w/]+)", PAGE))
    assert {f"POST {path}" for path in paths} | {f"GET {path}" for path in paths} >= (
        {"POST /api/ollama_models/query", "GET /api/ollama_models/job_status"}
    )
    assert paths <= {route.split()[1] for route in routes}
    assert not re.search(r"(src|href)=|https?://|@import", PAGE)


@pytest.mark.parametrize(
    "name", ["api.md", "celery.md", "clients.md", "extending.md", "operating.md", "performance.md"]
)
def test_every_file_that_is_linked_exists(name: str) -> None:
    """Beside the document."""
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document(name))
    assert [link for link in links if not Path(ROOT / "docs" / link).exists()] == []


def test_the_clients_that_are_tested_have_the_versions_that_are_named() -> None:
    """clients.md says with which versions its recipes were run."""
    named = dict(
        re.findall(r"^\| \[`(\w+)`\]\(#\w+\), Python \| ([\d.]+) \|", document("clients.md"), re.MULTILINE)
    )
    pinned = dict(re.findall(r"^([\w-]+)==(.*)$", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE))
    assert named == {name: pinned[name] for name in ("ollama", "openai")}


def test_every_benchmark_that_is_named_exists() -> None:
    """performance.md's names are those that `python -m bench` takes."""
    from bench.__main__ import BENCHMARKS

    assert set(re.findall(r"-m bench ([a-z-]+)", document("performance.md"))) == set(BENCHMARKS)
