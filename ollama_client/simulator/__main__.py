"""
`python -m ollama_client.simulator`: run the simulated Ollama until SIGINT or SIGTERM.

Its first line on standard output is `simulated Ollama: url=http://HOST:PORT pid=PID models=A,B`.
"""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from aiohttp import web

from ollama_client.simulator.app import create_app
from ollama_client.simulator.durations import keep_alive_seconds
from ollama_client.simulator.log import ServedLog
from ollama_client.simulator.models import parse_models
from ollama_client.simulator.options import Options
from ollama_client.simulator.simulator import Simulator

# aiohttp takes 0 for "wait as long as it takes".
_SHUTDOWN_SECONDS = 0.01


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; a wrong value ends the process with status 2 and one line."""
    default = Options()
    parser = argparse.ArgumentParser("python -m ollama_client.simulator", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=11434, help="0: any free one")
    add("--models", help="comma list of NAME or NAME=CAPABILITY+CAPABILITY; `wire`: the recorded ones")
    add("--parallel", type=int, default=default.parallel, help="slots of each loaded model")
    add("--max-loaded", type=int, default=default.max_loaded, help="models loaded at once")
    add("--max-queue", type=int, default=default.max_queue, help="requests that may wait for a load")
    add("--keep-alive", type=_keep_alive, default="5m", help="how long an idle model stays loaded")
    add("--load-seconds", type=float, default=default.load_seconds)
    add("--prompt-seconds", type=float, default=default.prompt_seconds, help="time before the first token")
    add("--tokens-per-second", type=float, default=default.tokens_per_second, help="0: as fast as possible")
    add("--tokens", type=int, default=default.tokens, help="length of an answer without num_predict")
    add("--log", type=Path, help="append a line at the start and the end of each generation")
    return parser.parse_args(arguments)


def build(arguments: argparse.Namespace) -> Simulator:
    """The simulator that a command line asks for."""
    options = Options(
        parallel=arguments.parallel,
        max_loaded=arguments.max_loaded,
        max_queue=arguments.max_queue,
        keep_alive_seconds=arguments.keep_alive,
        load_seconds=arguments.load_seconds,
        prompt_seconds=arguments.prompt_seconds,
        tokens_per_second=arguments.tokens_per_second,
        tokens=arguments.tokens,
    )
    return Simulator(options, parse_models(arguments.models), ServedLog(arguments.log))


async def serve(simulator: Simulator, host: str, port: int) -> None:
    """Listen, announce it, and return at a signal; running answers are cut off, as Ollama does."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    runner = web.AppRunner(
        create_app(simulator), handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    await web.TCPSite(runner, host, port, backlog=1024).start()
    bound = runner.addresses[0][1]
    names = ",".join(model.name for model in simulator.catalogue.newest_first())
    shown = f"[{host}]" if ":" in host else host
    print(f"simulated Ollama: url=http://{shown}:{bound} pid={os.getpid()} models={names}", flush=True)
    await stopping.wait()
    simulator.is_stopping = True
    await runner.cleanup()


def main() -> None:
    """Run until told to stop."""
    arguments = parse_arguments()
    try:
        asyncio.run(serve(build(arguments), arguments.host, arguments.port))
    except (OSError, ValueError) as error:
        # The address is taken, the log can't be written, or a number is out of bounds.
        sys.exit(f"simulated Ollama: {error}")


def _keep_alive(text: str) -> float:
    try:
        return keep_alive_seconds(float(text))
    except ValueError:
        try:
            return keep_alive_seconds(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    main()
