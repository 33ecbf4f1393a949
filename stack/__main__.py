"""The local stack's commands: `python -m stack NAME`, behind make's of the same name."""

import argparse
import sys

from settings import Settings, environment_bytes, get_settings

from .errors import StackError
from .terminal import say, tolerate_any_terminal


def main() -> int:
    """Runs one command and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m stack", description="Paddock's local stack.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="in the foreground, until Ctrl-C")
    commands.add_parser("start", help="in the background")
    commands.add_parser("stop", help="end it")
    commands.add_parser("status", help="what runs")
    commands.add_parser("flower", help="become Flower")
    ask = commands.add_parser("ask", help="ask a model")
    ask.add_argument("prompt", nargs="?", help="default: the variable ASK_PROMPT")
    ask.add_argument("--model", help="default: the variable ASK_MODEL, else the active model")
    arguments = parser.parse_args()
    tolerate_any_terminal()
    try:
        return _run(arguments, get_settings())
    except StackError as error:
        say(str(error))
        return error.status
    except KeyboardInterrupt:
        say("")
        return 130


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    # Late imports: an asked question that finds the stack up needs little of it, and is to be answered soon.
    if arguments.command == "ask":
        from . import ask

        prompt = arguments.prompt.encode(errors="surrogateescape") if arguments.prompt else None
        model = arguments.model.encode(errors="surrogateescape") if arguments.model else None
        return ask.ask(
            settings, prompt or environment_bytes("ASK_PROMPT"), model or environment_bytes("ASK_MODEL")
        )
    if arguments.command == "flower":
        from . import flower

        flower.run()
    from . import foreground, lifecycle, status

    if arguments.command == "run":
        return foreground.run(settings)
    if arguments.command == "start":
        lifecycle.start_in_background(settings)
        return 0
    if arguments.command == "stop":
        return 0 if lifecycle.stop(settings) else 1
    return status.show(settings)


if __name__ == "__main__":
    sys.exit(main())
