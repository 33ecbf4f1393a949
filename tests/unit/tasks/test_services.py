"""The services: what each asks of the model, and how one is added."""

import json
from pathlib import Path
from typing import Any

import pytest

import tests.environment  # noqa: F401 - before anything reads the settings
from jobs.errors import InvalidRequest
from tasks import app
from tasks.job_task import JobTask
from tasks.service import Service
from tasks.services import SERVICES, TASKS

FIGURES = {
    "data-cleaning": (0.1, 500),
    "recommendations": (0.7, 800),
    "voice-evaluation": (0.3, 400),
    "gap-narrative": (0.7, 600),
    "skill-demand": (0.2, 300),
}
every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))


def test_there_are_five() -> None:
    """The services are those of the contract, with their temperatures and token limits."""
    assert {s.name: (s.temperature, s.max_tokens) for s in SERVICES.values()} == FIGURES


@every_service
def test_its_example_makes_a_request(service: Service) -> None:
    """The documented example is a valid input, and what it says reaches the prompt."""
    request = service.request(service.read((), service.example))
    assert request.options == {"temperature": service.temperature, "num_predict": service.max_tokens}
    assert (request.system, request.priority) == (service.system, service.priority)
    given = [value for value in service.example.values() if isinstance(value, str)]
    assert request.prompt is not None
    assert all(value in request.prompt for value in given)
    assert "{" not in service.write_prompt(service.read((), service.example)).replace('{"', "")


@every_service
def test_its_answer_s_form_needs_no_references(service: Service) -> None:
    """Where the answer is data the request carries a JSON schema that stands for itself."""
    asked = service.request(service.read((), service.example)).format
    assert (asked is None) == (service.name == "gap-narrative")
    if asked is not None:
        assert isinstance(asked, dict)
        assert asked["type"] == "object"
        assert "$ref" not in json.dumps(asked)


@every_service
def test_its_task_is_registered_under_its_name(service: Service) -> None:
    """Celery knows the task by the service's name, and `from tasks.services import …` gives it."""
    from tasks import services

    name = service.name.replace("-", "_")
    task = app.tasks[f"tasks.services.{name}"]
    assert task.name == TASKS[service.name].name == getattr(services, name).name
    assert task.service_name == service.name


def build(name: str, *args: Any, options: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    task: JobTask = TASKS[name]
    return task.build_request(args, kwargs, options)


def test_a_call_names_its_fields_and_how_to_treat_the_job() -> None:
    """Fields of the input and of the job come as keywords; the service has a priority of its own."""
    request = build("skill-demand", skill="welding", model="Alpha:latest", metadata={"a": "b"})
    assert (request.model, request.metadata, request.priority) == ("alpha", {"a": "b"}, 7)
    assert build("skill-demand", skill="welding", priority="urgent").priority == 0
    assert build("skill-demand", skill="welding", options={"priority": 1}).priority == 1


def test_positional_arguments_fill_the_fields_in_their_order() -> None:
    """The first argument is the first field; a result before it in a chain stands for its text."""
    assert "welding" in build("skill-demand", "welding", "Bavaria").prompt
    result = {"text": "I would ask first.", "model": "alpha"}
    assert "I would ask first." in build("voice-evaluation", result).prompt


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "skill: Field required"),
        ((), {"skill": "x", "colour": "red"}, "colour"),
        (("x",), {"skill": "y"}, "each once"),
        (("x",) * 4, {}, "each once"),
        ((), {"skill": "x", "priority": 10}, "priority"),
    ],
)
def test_a_wrong_call_is_told_by_field(args: tuple[str, ...], kwargs: dict[str, Any], message: str) -> None:
    """What is missing, unknown, given twice or out of range is refused at the call."""
    with pytest.raises(InvalidRequest, match=message):
        build("skill-demand", *args, **kwargs)


def test_what_is_in_a_record_can_not_break_the_template() -> None:
    """Braces in an input are text."""
    record = {"note": "{instructions} {0} {{"}
    assert json.dumps(record) in build("data-cleaning", records=[record]).prompt


def test_half_a_surrogate_pair_is_refused() -> None:
    """A record that is no Unicode text is the caller's error."""
    with pytest.raises(InvalidRequest):
        build("data-cleaning", records=[{"note": "\ud800"}])


def test_a_sixth_service_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with SERVICE in the package's folder is found with its task."""
    from tasks import services

    source = (Path(services.__file__).parent / "skill_demand.py").read_text()
    (tmp_path / "weather_talk.py").write_text(source.replace("skill-demand", "weather-talk"))
    (tmp_path / "not_a_service.py").write_text('"""Something else."""\n')
    monkeypatch.setattr(services, "__path__", [*services.__path__, str(tmp_path)])
    found = services._find_services()
    assert found.keys() - SERVICES.keys() == {"weather-talk"}
    task = services.make_task(found["weather-talk"])
    try:
        assert task.name == "tasks.services.weather_talk"
        assert task.build_request((), {"skill": "rain"}).priority == 7
    finally:
        del app.tasks[task.name]
