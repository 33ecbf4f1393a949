"""docs/llm_onboarding.md and CONTRIBUTING.md against what they describe."""

import re

import pytest

from settings import ROOT, Settings
from tests.support.compose_files import compose

ONBOARDING = (ROOT / "docs" / "llm_onboarding.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SCRIPTS = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "deploy").glob("*.sh")))


def targets() -> set[str]:
    files = ((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "Makefile.ai"))
    lines = (line for text in files for line in re.findall(r"^([a-z][a-z -]*):(?!=)", text, re.MULTILINE))
    return {target for line in lines for target in line.split()}


@pytest.mark.parametrize(
    "text", [ONBOARDING, CONTRIBUTING, SCRIPTS], ids=["onboarding", "contributing", "scripts"]
)
def test_every_make_target_that_is_named_exists(text: str) -> None:
    """In commands and in prose."""
    named = set(re.findall(r"(?:^|[`(:] ?)make ([a-z][a-z-]+)", text, re.MULTILINE))
    assert named
    assert named <= targets()


def test_the_walk_uses_every_target_of_the_gateway() -> None:
    """None is left unexplained."""
    assert {target for target in targets() if target.startswith("ai-")} <= set(
        re.findall(r"ai-[a-z-]+[a-z]", ONBOARDING)
    )


def test_every_refusal_that_is_explained_is_one_that_is_written() -> None:
    """Word for word, up to what differs each time."""
    explained = re.findall(r"`paddock: ([^`…]+)", ONBOARDING)
    assert len(explained) > 6
    written = SCRIPTS.replace("$api", "ollama-functions")
    assert [line for line in explained if line.strip() not in written] == []


def test_every_variable_that_is_named_is_read() -> None:
    """By compose's file, by the scripts, by the settings, or by Docker and Ollama themselves."""
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", ONBOARDING)) - {"JOB_ID"}
    read = (ROOT / "docker-compose.yml").read_text(encoding="utf-8") + SCRIPTS
    settings = {
        str(name) for field in Settings.model_fields.values() for name in field.validation_alias.choices
    }
    assert {name for name in named if name not in read} <= settings


def test_every_service_that_is_named_exists() -> None:
    """In docker compose's commands."""
    named = set(re.findall(r"docker compose (?:exec(?: -T)?|logs --tail 100|logs) ([a-z-]+)", ONBOARDING))
    assert named == {"ollama-functions", "worker", "ollama", "migrate"}
    assert named <= set(compose()["services"])


def test_every_path_that_is_named_exists() -> None:
    """Folders end with a slash in the guide's table."""
    paths = set(re.findall(r"`([a-z_]+/[a-z_/.]*|[a-z_-]+\.(?:py|txt|toml|yml))`", CONTRIBUTING))
    paths |= set(re.findall(r"\]\(([^)]+)\)", CONTRIBUTING))
    assert len(paths) > 10
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
