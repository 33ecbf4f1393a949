"""make itself: what a prompt looks like when it arrives, and how Python is found."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from settings import ROOT

# What the sandboxes' scripts may call; Python is not among them.
TOOLS = ("sh", "cat", "cksum", "dirname", "mkdir", "rm", "chmod", "make", "env", "pwd", "printf", "echo")

NASTY_PROMPTS = [
    "Why is the sky blue?",
    'it\'s "quoted", `ticked` and \\escaped\\ \\n',
    "$HOME ${HOME} $(HOME) $$ $1 $",
    "$(shell echo run > pwned) `echo run > pwned` $$(echo run > pwned)",
    "$(PROMPT) refers to itself",
    "# not a comment # at all",
    "two\nlines\n\nand \\\na continued one\n",
    "a tab\there, trailing blanks  ",
    "🦙 ünïcödé 日本語",
    "PROMPT=x := y ?= z",
    "100% (unbalanced ) $( ${ ' \" ;&&|| > pwned",
    "-n --help",
    "\\",
]


@pytest.fixture
def sandbox(tmp_path: Path) -> Path:
    """The real Makefile; a Python that writes down what it was asked instead of asking."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "bootstrap.sh").touch()
    executable(
        tmp_path / ".venv" / "bin" / "python",
        'printf "%s" "$*" >arguments; printf "%s" "$ASK_PROMPT" >prompt; printf "%s" "$ASK_MODEL" >model\n'
        'printf "%s" "${PROMPT-unset} ${MODEL-unset}" >plain; printf "%s" "${PORT-}" >port\n',
    )
    return tmp_path


def executable(path: Path, script: str) -> None:
    """A shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}")
    path.chmod(0o755)


def make(folder: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs make as from a shell, without the variables of a make around the tests."""
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("prompt", NASTY_PROMPTS)
def test_a_prompt_arrives_byte_for_byte(sandbox: Path, prompt: str) -> None:
    """Neither make nor the shell reads anything into it, and none of it is executed."""
    done = make(sandbox, "ask", f"PROMPT={prompt}")
    assert done.returncode == 0, done.stderr
    assert (sandbox / "prompt").read_bytes() == prompt.encode()
    assert not (sandbox / "pwned").exists()
    assert (sandbox / "arguments").read_text() == "-m stack ask"
    assert (sandbox / "plain").read_text() == "unset unset"


@pytest.mark.parametrize("prompt", [*NASTY_PROMPTS, "  leading blanks"])
def test_a_prompt_may_be_in_the_environment(sandbox: Path, prompt: str) -> None:
    """make takes blanks off the front of its arguments; of the environment it doesn't."""
    assert make(sandbox, "ask", PROMPT=prompt).returncode == 0
    assert (sandbox / "prompt").read_bytes() == prompt.encode()
    assert not (sandbox / "pwned").exists()


def test_a_prompt_that_is_no_utf_8_arrives_too(sandbox: Path) -> None:
    """Whoever sends it on says what is wrong with it."""
    subprocess.run([b"make", b"ask", b"PROMPT=caf\xe9"], cwd=sandbox, check=True, timeout=30)
    assert (sandbox / "prompt").read_bytes() == b"caf\xe9"


def test_the_model_arrives_likewise(sandbox: Path) -> None:
    """MODEL chooses; it is not executed either."""
    assert make(sandbox, "ask", "PROMPT=x", "MODEL=a/b:$(shell touch pwned)").returncode == 0
    assert (sandbox / "model").read_text() == "a/b:$(shell touch pwned)"
    assert not (sandbox / "pwned").exists()


@pytest.mark.parametrize("target", ["ask", "run", "stop", "worker", "test", "bench", "check"])
def test_the_port_may_be_set_for_every_command(sandbox: Path, target: str) -> None:
    """As make's variable, as in `make run PORT=9000`, or in the environment."""
    executable(sandbox / ".venv" / "bin" / "lint-imports", "exit 0\n")
    assert make(sandbox, target, "PORT=9001").returncode == 0
    assert (sandbox / "port").read_text() == "9001"
    assert make(sandbox, target, PORT="9002").returncode == 0
    assert (sandbox / "port").read_text() == "9002"


def test_make_alone_lists_the_commands(sandbox: Path) -> None:
    """And sets nothing up."""
    done = make(sandbox)
    assert done.returncode == 0
    assert 'make ask PROMPT="Why is the sky blue?"' in done.stdout
    assert not (sandbox / "arguments").exists()


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A fresh clone's set-up files, and a PATH with the usual tools but no Python."""
    for name in ("requirements.txt", "requirements-dev.txt", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "stack").mkdir()
    shutil.copy(ROOT / "stack" / "bootstrap.sh", tmp_path / "stack")
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def bootstrap(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs the set-up with nothing but the sandbox's tools."""
    return subprocess.run(
        ["/bin/sh", str(folder / "stack" / "bootstrap.sh"), *arguments],
        env={"PATH": str(folder / "bin")},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def a_python(folder: Path, name: str, *, has_venv: bool = True) -> None:
    """A Python that is new enough; the venv that it makes writes down what it is asked to install."""
    executable(
        folder / "bin" / name,
        f"""
case "$*" in
    *version_info*) exit 0 ;;
    *ensurepip*) exit {0 if has_venv else 1} ;;
    --version) echo {name} ;;
    "-m venv"*)
        rm -rf .venv
        mkdir -p .venv/bin
        printf '#!/bin/sh\\necho "$*" >>calls\\n' >.venv/bin/python
        chmod 755 .venv/bin/python ;;
esac
""",
    )


def installs(folder: Path) -> list[str]:
    """What pip was asked for so far."""
    calls = folder / "calls"
    lines = calls.read_text().splitlines() if calls.exists() else []
    return [line.partition(" -r ")[2] for line in lines if "pip install" in line]


def test_without_python_one_line_says_so(fresh: Path) -> None:
    """The line names the version that is needed."""
    done = bootstrap(fresh)
    assert done.returncode == 1
    assert done.stderr.startswith("paddock: Python 3.11 or newer is needed and was not found")
    assert done.stderr.count("\n") == 1


def test_pythons_that_are_too_old_or_do_not_run_are_passed_over(fresh: Path) -> None:
    """A version manager's leftover for a version that isn't installed ends with an error when it is run."""
    executable(fresh / "bin" / "python3.14", "echo 'command not found' >&2; exit 127\n")
    executable(fresh / "bin" / "python3.13", "exit 1\n")
    a_python(fresh, "python3")
    done = bootstrap(fresh)
    assert done.returncode == 0, done.stderr
    assert "Making .venv with python3 ..." in done.stderr


def test_a_python_without_venv_gets_the_line_that_installs_it(fresh: Path) -> None:
    """Debian's Python comes without."""
    a_python(fresh, "python3", has_venv=False)
    done = bootstrap(fresh)
    assert done.returncode == 1
    assert done.stderr == (
        "paddock: python3 has no venv; install it, on Debian and Ubuntu with: sudo apt install python3-venv\n"
    )


def test_another_python_that_has_venv_is_taken(fresh: Path) -> None:
    """The newest one is only preferred."""
    a_python(fresh, "python3.13", has_venv=False)
    a_python(fresh, "python3.11")
    assert "Making .venv with python3.11" in bootstrap(fresh).stderr


def test_installing_happens_once_and_again_when_requirements_change(fresh: Path) -> None:
    """A second run is silent and asks pip for nothing."""
    a_python(fresh, "python3")
    for _ in range(2):
        assert bootstrap(fresh).returncode == 0
    assert installs(fresh) == ["requirements.txt -c constraints.txt"]
    assert bootstrap(fresh).stderr == ""
    (fresh / "constraints.txt").write_text("changed==1\n")
    bootstrap(fresh)
    assert len(installs(fresh)) == 2


def test_what_tests_need_includes_what_paddock_needs(fresh: Path) -> None:
    """`make test` after `make ask` installs more; `make ask` after `make test` installs nothing."""
    a_python(fresh, "python3")
    for arguments in ([], ["dev"], [], ["dev"]):
        assert bootstrap(fresh, *arguments).returncode == 0
    assert installs(fresh) == [
        "requirements.txt -c constraints.txt",
        "requirements-dev.txt -c constraints.txt",
    ]


def test_a_venv_whose_python_went_away_is_made_anew(fresh: Path) -> None:
    """An upgrade of the system's Python leaves a venv that can't run."""
    a_python(fresh, "python3")
    bootstrap(fresh)
    (fresh / ".venv" / "bin" / "python").unlink()
    assert "Making .venv" in bootstrap(fresh).stderr
    assert len(installs(fresh)) == 2
