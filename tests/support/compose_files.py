"""docker-compose.yml and .dockerignore as tests read them."""

import fnmatch
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from settings import ROOT

# The services that run Paddock's own image.
OURS = ("ollama-functions", "worker", "flower", "migrate")


@cache
def compose() -> dict[str, Any]:
    """The file with its anchors resolved, and its ${…} as they stand."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose()["services"][name]
    return found


def interpolated(value: str, given: Mapping[str, str] | None = None) -> str:
    """As compose substitutes ${NAME:?…} and ${NAME:-…}; what is required and not given is "secret"."""

    def substitute(match: "re.Match[str]") -> str:
        name, kind, word = match.groups()
        return (given or {}).get(name) or (word if kind == "-" else "secret")

    return re.sub(r"\$\{([A-Z_]+):([?-])([^}]*)\}", substitute, value)


def seconds(duration: str) -> int:
    """Of a duration such as 45s."""
    match = re.fullmatch(r"(\d+)s", duration)
    assert match, duration
    return int(match[1])


def ignored(path: str) -> bool:
    """Whether .dockerignore leaves a path out, by the few forms that it uses."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for pattern in (line.rstrip("/") for line in lines if line and not line.startswith("#")):
        anywhere = pattern.removeprefix("**/")
        parts = Path(path).parts
        heads = parts if anywhere != pattern else ["/".join(parts[: n + 1]) for n in range(len(parts))]
        if any(fnmatch.fnmatch(head, anywhere) for head in heads):
            return True
    return False
