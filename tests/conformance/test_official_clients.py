"""The official `ollama` and `openai` packages through the running stack, by changing host and key alone."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import ollama
import openai
import pytest
from pydantic import BaseModel

from bench.local_stack import LocalStack
from tests.conformance import recordings

MESSAGES = [{"role": "user", "content": "Why is the sky blue?"}]
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "The city"}},
            "required": ["city"],
        },
    },
}
EIGHT: dict[str, Any] = {"num_predict": 8}


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.fixture(scope="module")
def client(stack: LocalStack) -> Iterator[ollama.Client]:
    with ollama.Client(stack.base_url, headers=stack.headers) as made:
        yield made


@pytest.fixture(scope="module")
def gpt(stack: LocalStack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.base_url}/v1", api_key=stack.key, max_retries=0) as made:
        yield made


def test_ollama_generates_in_one_piece_and_streaming(client: ollama.Client) -> None:
    """The pieces are the whole, with counts at the end."""
    whole = client.generate("tiny-a", "Why?", options=EIGHT)
    pieces = list(client.generate("tiny-a", "Why?", options=EIGHT, stream=True))
    assert whole.done and whole.eval_count == 8 and whole.context
    assert "".join(piece.response for piece in pieces) == whole.response
    assert len(pieces) == 9 and pieces[-1].done and pieces[-1].eval_count == 8


def test_ollama_chats_in_one_piece_and_streaming(client: ollama.Client) -> None:
    """A message, or the pieces of one."""
    whole = client.chat("tiny-a", MESSAGES, options=EIGHT)
    pieces = list(client.chat("tiny-a", MESSAGES, options=EIGHT, stream=True))
    assert whole.message.role == "assistant" and whole.done_reason == "length"
    assert "".join(piece.message.content or "" for piece in pieces) == whole.message.content


def test_ollama_s_async_client_does_the_same(stack: LocalStack) -> None:
    """Several at once."""

    async def ask() -> list[str]:
        async with ollama.AsyncClient(stack.base_url, headers=stack.headers) as asking:

            async def stream(prompt: str) -> str:
                pieces = await asking.generate("tiny-a", prompt, options=EIGHT, stream=True)
                return "".join([piece.response async for piece in pieces])

            whole = await asking.chat("tiny-a", MESSAGES, options=EIGHT)
            return [whole.message.content or "", *await asyncio.gather(*map(stream, "abc"))]

    assert all(asyncio.run(ask()))


def test_ollama_takes_a_key_in_its_address(stack: LocalStack, control: Any) -> None:
    """In one piece, streaming and cut off in the middle; and no log has it."""
    control(fail_next={"kind": "cut", "after_tokens": 5})
    with ollama.Client(f"{stack.base_url}/key/{stack.key}") as by_path:
        with pytest.raises(ollama.ResponseError, match="cut"):
            list(by_path.generate("tiny-a", "x", options={"num_predict": 50}, stream=True))
        assert list(by_path.chat("tiny-a", MESSAGES, options=EIGHT, stream=True))[-1].eval_count == 8
    with (
        ollama.Client(f"{stack.base_url}/key/{stack.key}x") as stranger,
        pytest.raises(ollama.ResponseError, match="API key"),
    ):
        stranger.list()
    logs = list((stack.valkey_socket.parent / "log").iterdir())
    assert {"web.log", "worker-1.log"} <= {log.name for log in logs}
    assert [log.name for log in logs if stack.key in log.read_text(errors="replace")] == []


def test_ollama_calls_tools(client: ollama.Client) -> None:
    """In one piece and from a stream."""
    asked = recordings.load("chat_tools_forced_call")["request"]["body"] | {"stream": False}
    whole = client.chat(**asked)
    pieces = client.chat(**asked | {"stream": True})
    for calls in (whole.message.tool_calls, [c for piece in pieces for c in piece.message.tool_calls or ()]):
        assert calls and calls[0].function.name == "get_weather"
        assert calls[0].function.arguments == {"city": "Paris"}


def test_ollama_thinks(client: ollama.Client) -> None:
    """Beside the answer, also piece by piece."""
    asked: dict[str, Any] = {"model": "tiny-think", "messages": MESSAGES, "options": EIGHT, "think": True}
    whole = client.chat(**asked)
    pieces = client.chat(**asked, stream=True)
    assert whole.message.thinking
    assert "".join(piece.message.thinking or "" for piece in pieces) == whole.message.thinking


def test_ollama_answers_in_a_structure(client: ollama.Client) -> None:
    """A JSON schema holds."""
    schema = Weather.model_json_schema()
    answer = client.chat("tiny-a", MESSAGES, format=schema, options={"num_predict": 200})
    assert Weather.model_validate_json(answer.message.content or "")


def test_ollama_embeds(client: ollama.Client) -> None:
    """One text, several, and the older form."""
    one, two = client.embed("tiny-a", "one"), client.embed("tiny-a", ["one", "two"])
    assert len(one.embeddings) == 1 and len(two.embeddings) == 2
    assert two.embeddings[0] == one.embeddings[0]
    assert len(client.embeddings("tiny-a", "one").embedding) == len(one.embeddings[0])


def test_ollama_s_lists(client: ollama.Client) -> None:
    """What is installed, what is loaded, and what a model is."""
    client.generate("tiny-a", "x", options=EIGHT)
    assert "tiny-a:latest" in [model.model for model in client.list().models]
    assert client.show("tiny-tools").capabilities == ["completion", "tools"]
    assert client.ps().models is not None


def test_ollama_administers_models(client: ollama.Client) -> None:
    """With an admin's key: progress, copy and removal."""
    steps = [step.status for step in client.pull("all-minilm", stream=True)]
    assert steps[0] == "pulling manifest" and steps[-1] == "success"
    assert client.copy("all-minilm", "ours").status == "success"
    assert client.delete("ours").status == "success"
    with pytest.raises(ollama.ResponseError, match="not found"):
        client.delete("ours")


def test_ollama_reads_our_errors(client: ollama.Client, stack: LocalStack) -> None:
    """Unknown model, refused request, and a wrong key."""
    with pytest.raises(ollama.ResponseError, match="model 'nosuch' not found") as unknown:
        client.generate("nosuch", "x")
    assert unknown.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="does not support tools") as refused:
        list(client.chat("tiny-a", MESSAGES, tools=[TOOL], stream=True))
    assert refused.value.status_code == 400
    with (
        ollama.Client(stack.base_url, headers={"Authorization": "Bearer wrong"}) as stranger,
        pytest.raises(ollama.ResponseError, match="API key") as closed,
    ):
        stranger.list()
    assert closed.value.status_code == 401


def test_openai_completes_a_chat(gpt: openai.OpenAI) -> None:
    """In one piece and streaming, counts where they are wished."""
    whole = gpt.chat.completions.create(model="tiny-a", messages=MESSAGES, max_tokens=8)  # type: ignore[arg-type]
    chunks = list(
        gpt.chat.completions.create(  # type: ignore[call-overload]
            model="tiny-a",
            messages=MESSAGES,
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert whole.usage and whole.usage.completion_tokens == 8
    assert whole.choices[0].finish_reason == "length"
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == 8


def test_openai_gets_no_counts_it_has_not_asked_for(gpt: openai.OpenAI) -> None:
    """Though Paddock asks for them itself."""
    chunks = list(
        gpt.chat.completions.create(model="tiny-a", messages=MESSAGES, max_tokens=2, stream=True)  # type: ignore[arg-type]
    )
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_openai_s_async_client_does_the_same(stack: LocalStack) -> None:
    """Several at once."""

    async def ask() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{stack.base_url}/v1", api_key=stack.key) as asking:

            async def stream(prompt: str) -> str:
                chunks = await asking.completions.create(
                    model="tiny-a", prompt=prompt, max_tokens=8, stream=True
                )
                return "".join([chunk.choices[0].text async for chunk in chunks])

            return await asyncio.gather(*map(stream, "abc"))

    assert all(asyncio.run(ask()))


def test_openai_calls_tools(gpt: openai.OpenAI) -> None:
    """In one piece and from a stream's deltas."""
    asked = recordings.load("v1_chat_tools_call")["request"]["body"]
    whole = gpt.chat.completions.create(**asked)
    calls = whole.choices[0].message.tool_calls
    assert calls and json.loads(calls[0].function.arguments) == {"city": "Paris"}
    deltas = [
        chunk.choices[0].delta for chunk in gpt.chat.completions.create(**asked, stream=True) if chunk.choices
    ]
    assert [call.function.name for delta in deltas for call in delta.tool_calls or ()] == ["get_weather"]


def test_openai_answers_in_a_structure(gpt: openai.OpenAI) -> None:
    """Parsed by the package itself."""
    answer = gpt.chat.completions.parse(
        model="tiny-a",
        messages=MESSAGES,  # type: ignore[arg-type]
        response_format=Weather,
        max_tokens=200,
    )
    assert isinstance(answer.choices[0].message.parsed, Weather)


def test_openai_completes_a_text(gpt: openai.OpenAI) -> None:
    """The older route."""
    answer = gpt.completions.create(model="tiny-a", prompt="The sky is", max_tokens=8)
    assert answer.choices[0].text and answer.usage and answer.usage.completion_tokens == 8


def test_openai_embeds(gpt: openai.OpenAI) -> None:
    """As numbers, and as base64, which the package asks for by itself."""
    plain = gpt.embeddings.create(model="tiny-a", input=["one", "two"], encoding_format="float")
    packed = gpt.embeddings.create(model="tiny-a", input=["one", "two"])
    assert len(plain.data) == 2
    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-5)
    raw = gpt.embeddings.with_raw_response.create(model="tiny-a", input="one", encoding_format="base64")
    assert base64.b64decode(json.loads(raw.text)["data"][0]["embedding"])


def test_openai_lists_models(gpt: openai.OpenAI) -> None:
    """All, and one."""
    assert "tiny-a:latest" in [model.id for model in gpt.models.list()]
    assert gpt.models.retrieve("tiny-a").id == "tiny-a"
    with pytest.raises(openai.NotFoundError):
        gpt.models.retrieve("nosuch")


def test_openai_reads_our_errors(gpt: openai.OpenAI, stack: LocalStack) -> None:
    """By its own classes."""
    with pytest.raises(openai.NotFoundError, match="model 'nosuch' not found"):
        gpt.chat.completions.create(model="nosuch", messages=MESSAGES)  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError):
        gpt.chat.completions.create(model="tiny-a", messages=MESSAGES, max_tokens=0)  # type: ignore[arg-type]
    wrong = gpt.with_options(api_key="wrong")
    with pytest.raises(openai.AuthenticationError):
        wrong.models.list()


def test_openai_is_told_of_an_error_amid_a_stream(gpt: openai.OpenAI, control: Any) -> None:
    """Which Ollama itself loses."""
    control(fail_next={"kind": "stream_error", "after_tokens": 5})
    with pytest.raises(openai.APIError, match="an error was encountered"):
        list(
            gpt.chat.completions.create(model="tiny-a", messages=MESSAGES, max_tokens=50, stream=True)  # type: ignore[arg-type]
        )


def test_ollama_is_told_of_an_error_amid_a_stream(client: ollama.Client, control: Any) -> None:
    """Pieces first, then the error; a stream can't begin anew."""
    control(fail_next={"kind": "cut", "after_tokens": 5})
    with pytest.raises(ollama.ResponseError, match="cut"):
        list(client.generate("tiny-a", "x", options={"num_predict": 50}, stream=True))
