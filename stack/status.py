"""What runs in this folder."""

from settings import Settings

from .places import Places, Running
from .supervisor import Control
from .terminal import say


def show(settings: Settings) -> int:
    """One line for each process; exit status 3, as init scripts have it, where nothing runs."""
    places = Places(settings.var_dir)
    if not places.is_up():
        say("Nothing runs in this folder.")
        return 3
    with Control(places) as control:
        processes = control.processes()
    for name, info in processes.items():
        print(f"{name:<12} {info['statename']:<9} {info['description']}")
    running = Running.read(places)
    if running is not None:
        print(f"API {running.url}   Flower {running.flower_url}")
    return 0
