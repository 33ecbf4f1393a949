"""The self-check's verdict."""

import pytest

from ollama_client import check
from ollama_client.check import Check, Row, table
from tests.unit.ollama_client.fakes import FakeTransport

DONE = b'{"response":"blue","done":false}\n{"response":"","done":true,"eval_count":3}\n'


def check_on(transport):
    """A check whose client talks to this transport."""
    made = Check("127.0.0.1", 1, "tiny")
    made.client._transport.close()
    made.client._transport = transport
    return made


def verdicts(made):
    return {row.step: row.passed for row in made.rows}


def test_all_steps_pass_on_a_healthy_ollama():
    """Each is run, and the check as a whole passes."""
    made = check_on(FakeTransport(DONE, installed=[{"name": "tiny:latest", "size": 1}]))
    assert made.run(), table(made.rows)
    assert set(verdicts(made).values()) == {True}
    assert len(made.rows) == 10


def test_steps_that_were_not_run_have_not_passed():
    """Without the model the steps that need it are skipped, and the check fails."""
    made = check_on(FakeTransport(DONE))
    assert not made.run()
    found = verdicts(made)
    assert found["health"] is False
    assert found["generation"] is found["batch of four"] is None
    assert found["unreachable host"] is found["shutdown"] is True


def test_the_table_is_aligned():
    """A row each, columns below each other."""
    lines = table([Row("a", "1 ms", "under 1 s", True), Row("longer", "no", "x", None)]).splitlines()
    assert (
        len({line.index(word) for line, word in zip(lines, ["result", "passed", "not run"], strict=True)})
        == 1
    )


def test_the_command_tells_by_its_exit_status_and_hides_credentials(monkeypatch, capsys):
    """0 for passed, 1 for the rest; no password on the screen."""
    monkeypatch.setattr(Check, "run", lambda self: True)
    assert check.main(["--host", "http://me:secret@127.0.0.1"]) == 0
    monkeypatch.setattr(Check, "run", lambda self: False)
    assert check.main([]) == 1
    assert "secret" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        check.main(["--host", "a b"])


def test_a_model_that_is_not_installed_is_named_with_its_remedy():
    """Ollama itself is there."""
    made = check_on(FakeTransport(DONE, installed=[{"name": "other:latest", "size": 1}]))
    assert not made.run()
    (health,) = [row for row in made.rows if row.step == "health"]
    assert "tiny not installed: `ollama pull" in health.measured


def test_a_generation_that_fails_says_why():
    """And its step has failed, not been left out."""
    made = check_on(FakeTransport(b"", installed=[{"name": "tiny:latest", "size": 1}]))
    assert not made.run()
    (generation,) = [row for row in made.rows if row.step == "generation"]
    assert generation.passed is False
    assert "without" in generation.measured
