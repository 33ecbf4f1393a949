"""
The services: every module of this package that defines SERVICE is one.

    from tasks.services import skill_demand

    skill_demand.delay(skill="welding", region="Bavaria").get(timeout=60)["text"]

A module's name here is its service's task, as `tasks.generate` is; SERVICES and TASKS have
them all, by the service's name.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from tasks.celery_app import app
from tasks.job_task import JobTask
from tasks.service import Service
from tasks.task_result import as_text


def _find_services() -> dict[str, Service]:
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    services = [module.SERVICE for module in modules if hasattr(module, "SERVICE")]
    return {service.name: service for service in services}


def make_task(service: Service) -> JobTask:
    """The Celery task of a service."""

    def run(*args: Any, **kwargs: Any) -> dict[str, Any]:
        # In a chain, the result before stands for its text.
        given = service.read(tuple(as_text(value) for value in args), kwargs)
        return service.request(given).model_dump(exclude_none=True)

    run.__doc__ = service.summary
    options = {"base": JobTask, "name": service.task_name, "service_name": service.name, "typing": False}
    task: JobTask = app.task(**options)(run)
    return task


SERVICES = _find_services()
TASKS = {name: make_task(service) for name, service in SERVICES.items()}
globals().update({name.replace("-", "_"): task for name, task in TASKS.items()})
