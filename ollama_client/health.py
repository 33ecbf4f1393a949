"""What `health_check` finds out."""

from collections.abc import Callable

from ollama_client.asking import described
from ollama_client.errors import NoModelInstalled, OllamaError
from ollama_client.models import is_installed
from ollama_client.transport import OllamaTransport
from ollama_client.types import Health, Metrics

# Percent of requests that must have worked.
HEALTHY_SUCCESS_RATE = 90.0


def health_report(transport: OllamaTransport, choose: Callable[[], str], metrics: Metrics) -> Health:
    """
    The state of Ollama, the model and the client's own record.

    Args:
        choose: The model in use; raises `NoModelInstalled` where there is none.
    """
    report: Health = {
        "status": "unhealthy",
        "available": False,
        "model": None,
        "model_available": False,
        "models": [],
        "metrics": metrics,
    }
    try:
        installed = transport.tags()
        report["available"] = True
        report["models"] = [str(model.get("name", "")) for model in installed]
        report["model"] = model = choose()
        report["model_available"] = is_installed(model, installed)
    except NoModelInstalled:
        pass
    except OllamaError as error:
        report["available"] = False
        report["error"] = described(error, attempts=1)
        return report
    well = report["model_available"] and metrics["success_rate"] >= HEALTHY_SUCCESS_RATE
    report["status"] = "healthy" if well else "degraded"
    return report
