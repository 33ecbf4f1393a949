"""The client for people who want an answer and not an exception."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ollama_client import arguments
from ollama_client.asking import Asked, ask, embedded, generated, refused
from ollama_client.errors import Aborted, ModelNotFound, OllamaError
from ollama_client.health import health_report
from ollama_client.host import join_host
from ollama_client.limits import Limits
from ollama_client.metrics import RequestCounter
from ollama_client.models import ModelChoice
from ollama_client.retry import RetryPolicy
from ollama_client.stream import text_of
from ollama_client.transport import OllamaTransport
from ollama_client.types import ChatResult, EmbedResult, Health, Metrics, TextResult


class OllamaClient:
    """
    Generate, chat and embed with one Ollama, from any number of threads.

    Args:
        host: Name or address; may bring its own scheme, port and path.
        port: Used unless `host` brings one.
        model: Used for every call. None: one that is loaded, else the smallest installed
            that can do what is asked.
        max_workers: Prompts of a batch that are under way at once.
        timeout: Seconds that one attempt may take, from connecting to the whole answer.
            `stream`: until the first piece, and between two pieces.
        max_retries: Attempts in all. After a failed one 2, 4, 8 … seconds pass, doubling.
            A request that Ollama refuses (4xx: an unknown model, say) is not repeated.
        retry: Replaces the above policy; tests hand in one that doesn't wait.
        transport: Replaces the one for `host` and `port`, and with it `timeout` except in
            `stream`; for TLS with a private CA, say.

    Temperature, as a guide: 0.1 very deterministic (extraction, classification),
    0.2 mostly deterministic (analysis, code), 0.3 slightly creative (summaries, advice),
    0.7 creative (stories, brainstorming). From 0.0 to 2.0.

    The usual errors, each named in `error` together with what to do: Ollama not reachable,
    model not found, timed out, all attempts failed.

    Raises:
        ValueError: From the constructor, for an argument that can't be.
    """

    def __init__(  # noqa: PLR0917 - the order is public
        self,
        host: str = "localhost",
        port: int = 11434,
        model: str | None = None,
        max_workers: int = 8,
        timeout: float = 10,
        max_retries: int = 3,
        *,
        retry: RetryPolicy | None = None,
        transport: OllamaTransport | None = None,
    ) -> None:
        arguments.check_text("host", host)
        arguments.check_whole("port", port, at_most=65535)
        arguments.check_whole("max_workers", max_workers)
        arguments.check_seconds("timeout", timeout)
        arguments.check_whole("max_retries", max_retries)
        if model is not None:
            arguments.check_text("model", model)
        self.model = model
        self.timeout = timeout
        self._closing = threading.Event()
        self._retry = retry or RetryPolicy(max_retries, sleep=self._wait)
        self._counter = RequestCounter()
        self._transport = transport or OllamaTransport(
            join_host(host, port), limits=Limits(timeout, timeout, timeout, timeout), pool_size=max_workers
        )
        self.base_url = self._transport.base_url
        self._models = ModelChoice(self._transport, model)
        # Its threads start with the first batch.
        self._executor = ThreadPoolExecutor(max_workers, thread_name_prefix="ollama_client")

    def is_available(self) -> bool:
        """Whether Ollama answers now."""
        try:
            self._transport.version()
        except OllamaError:
            return False
        return True

    def health_check(self) -> Health:
        """How Ollama, the model and the client's own success rate are; see `types.Health`."""
        return health_report(self._transport, lambda: self._model_for("completion"), self.get_metrics())

    def generate(
        self,
        prompt: str,
        temperature: float = 0.7,
        max_tokens: int | None = None,
        system_prompt: str | None = None,
    ) -> TextResult:
        """
        Complete a prompt. Never raises: a failure is `success: False` with `error`.

        Args:
            prompt: Not empty.
            temperature: 0.1 very deterministic, 0.2 mostly, 0.3 slightly creative, 0.7 creative.
            max_tokens: Longest answer, 1 or more; None leaves it to the model.
            system_prompt: Instructions that precede the prompt.
        """
        try:
            body = arguments.generate_body(prompt, temperature, max_tokens, system_prompt)
        except ValueError as error:
            return self._text_result(refused(error))
        return self._text_result(self._ask(lambda model: self._generated("/api/generate", model, body)))

    def generate_batch(
        self, prompts: Sequence[str], temperature: float = 0.7, max_tokens: int | None = None
    ) -> list[TextResult]:
        """`generate` for each prompt, `max_workers` at once; results in the order of the prompts."""
        if self._closing.is_set():
            return [self.generate(prompt, temperature, max_tokens) for prompt in prompts]
        return list(
            self._executor.map(lambda prompt: self.generate(prompt, temperature, max_tokens), prompts)
        )

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        temperature: float = 0.7,
        max_tokens: int | None = None,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> ChatResult:
        """
        The next message of a conversation. Never raises, as `generate`.

        Args:
            messages: `{"role": "system" | "user" | "assistant" | "tool", "content": TEXT}`, oldest first.
            tools: Functions that the model may call, in Ollama's shape.
        """
        try:
            arguments.check_messages(messages)
            options = arguments.sampling_options(temperature, max_tokens)
        except ValueError as error:
            return {**self._text_result(refused(error)), "message": {}}
        body: dict[str, Any] = {"messages": list(messages), "options": options}
        if tools:
            body["tools"] = list(tools)
        asked = self._ask(lambda model: self._generated("/api/chat", model, body))
        return {**self._text_result(asked), "message": (asked.answer or {}).get("message", {})}

    def embed(self, texts: str | Sequence[str]) -> EmbedResult:
        """The embeddings of one text or several. Never raises, as `generate`."""
        try:
            arguments.check_texts(texts)
        except ValueError as error:
            return {**refused(error).result(), "embeddings": []}
        wanted = texts if isinstance(texts, str) else list(texts)
        asked = self._ask(
            lambda model: embedded(self._transport, {"model": model, "input": wanted}), "embedding"
        )
        return {**asked.result(), "embeddings": (asked.answer or {}).get("embeddings", [])}

    def stream(
        self,
        prompt: str,
        temperature: float = 0.7,
        max_tokens: int | None = None,
        system_prompt: str | None = None,
    ) -> Iterator[str]:
        """
        The answer piece by piece, one attempt: what was shown can't be taken back.

        Leaving the loop early and closing the iterator makes Ollama stop.

        Raises:
            ValueError: An argument can't be.
            OllamaError: Ollama failed, before or after the first piece.
        """
        return self._pieces(arguments.generate_body(prompt, temperature, max_tokens, system_prompt))

    def get_metrics(self) -> Metrics:
        """Counts, success rate and mean response time so far; see `types.Metrics`."""
        return self._counter.snapshot()

    def shutdown(self, *, wait: bool = True) -> None:
        """
        Close threads and connections; calls made after it fail with `aborted`.

        Args:
            wait: Let attempts that are under way finish; False stops them at once.
                Nothing is repeated in either case.
        """
        self._closing.set()
        if not wait:
            self._transport.abort()
        self._executor.shutdown(wait=True)
        self._transport.close()

    def _ask(self, attempt: Callable[[str], dict[str, Any]], capability: str = "completion") -> Asked:
        asked = ask(self._retry, lambda: self._model_for(capability), attempt)
        if asked.error is None:
            self._counter.succeeded(asked.seconds)
        else:
            self._counter.failed()
            if asked.error_code == ModelNotFound.code:
                self._models.forget()
        return asked

    def _generated(self, path: str, model: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return generated(self._transport, path, {"model": model, **body})

    def _pieces(self, body: Mapping[str, Any]) -> Iterator[str]:
        limits = Limits(self.timeout, self.timeout, self.timeout)
        started = time.monotonic()
        try:
            full_body = {"model": self._model_for("completion"), **body}
            with self._transport.stream("/api/generate", full_body, limits=limits) as chunks:
                yield from filter(None, map(text_of, chunks))
        except OllamaError:
            self._counter.failed()
            raise
        self._counter.succeeded(time.monotonic() - started)

    def _text_result(self, asked: Asked) -> TextResult:
        return {**asked.result(), "text": asked.text}

    def _model_for(self, capability: str) -> str:
        if self._closing.is_set():
            raise Aborted("The client has been shut down")
        return self._models.for_capability(capability)

    def _wait(self, seconds: float) -> None:
        self._closing.wait(seconds)
