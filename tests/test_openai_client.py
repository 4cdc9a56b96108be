"""Any OpenAI client can talk to the mock: OpenAI's own package does, streaming and not, tools, errors, models."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import openai
import orjson
import pytest
from openai import OpenAI

from loadtests.mock.process import start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAST = ("--ttft", "0.005", "--gap", "0.0005", "--prefill", "0", "--output-tokens", "64", "--key", "sk-right")
BASES = {"generic": "/v1", "meingpt": "/api/openai/v1", "8080": "/v1", "morpheus": "/api/v1"}
MODELS = {"generic": "mock", "meingpt": "gpt-4o", "8080": "8080/llama-8b", "morpheus": "llama-3.3-70b"}
ASKED: list[Any] = [{"role": "user", "content": "Name a city."}]
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


@pytest.fixture(scope="module")
def client() -> Iterator[Callable[..., OpenAI]]:
    """A function that gives a client for a provider's mock, each of which is one process."""
    with ExitStack() as stack:
        bases: dict[str, str] = {}

        def made(name: str = "generic", key: str = "sk-right") -> OpenAI:
            if name not in bases:
                cold = ("--cold-session", "0") if name == "morpheus" else ()
                mock = stack.enter_context(start((*FAST, "--provider", name, *cold)))
                bases[name] = f"http://127.0.0.1:{mock.port}{BASES[name]}"
            return stack.enter_context(OpenAI(api_key=key, base_url=bases[name], max_retries=0))

        yield made


def streamed(client: OpenAI, **how: Any) -> tuple[str, list[Any]]:
    """The text of a streamed answer, and its chunks."""
    how = {"model": "mock", "messages": ASKED, **how}
    chunks = list(client.chat.completions.create(stream=True, **how))
    return "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices), chunks


@pytest.mark.parametrize("name", BASES)
def test_a_whole_answer_and_a_streamed_one(client: Callable[..., OpenAI], name: str) -> None:
    of = client(name)

    whole = of.chat.completions.create(model=MODELS[name], messages=ASKED)
    text, chunks = streamed(of, model=MODELS[name])

    assert whole.choices[0].message.content
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert whole.usage.completion_tokens > 0
    assert whole.model == MODELS[name]
    assert text
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]


def test_usage_comes_with_a_stream_that_asks_for_it(client: Callable[..., OpenAI]) -> None:
    _, with_usage = streamed(client(), stream_options={"include_usage": True}, max_tokens=3)
    _, without = streamed(client(), max_tokens=3)

    assert with_usage[-1].usage.completion_tokens == 3
    assert all(chunk.usage is None for chunk in with_usage[:-1])
    assert all(chunk.usage is None for chunk in without)


@pytest.mark.parametrize("name", BASES)
def test_tools_are_called(client: Callable[..., OpenAI], name: str) -> None:
    """Morpheus takes tools in streams alone."""
    of = client(name)
    how: dict[str, Any] = {"model": MODELS[name], "messages": ASKED, "tools": TOOLS}

    chunks = list(of.chat.completions.create(stream=True, **how))
    calls = [call.function for chunk in chunks for c in chunk.choices for call in c.delta.tool_calls or ()]

    assert "".join(call.name or "" for call in calls) == "weather"
    assert orjson.loads("".join(call.arguments or "" for call in calls)) == {"city": "first token"}
    if name != "morpheus":
        message = of.chat.completions.create(**how).choices[0].message
        assert message.tool_calls[0].function.name == "weather"


def test_a_schema_is_answered_by_what_it_allows(client: Callable[..., OpenAI]) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form: Any = {"type": "json_schema", "json_schema": {"name": "count", "schema": schema, "strict": True}}

    answer = client().chat.completions.create(model="mock", messages=ASKED, response_format=form)

    assert orjson.loads(answer.choices[0].message.content or "") == {"n": 0}


def test_several_choices(client: Callable[..., OpenAI]) -> None:
    answer = client().chat.completions.create(model="mock", messages=ASKED, n=2)

    assert [choice.index for choice in answer.choices] == [0, 1]


@pytest.mark.parametrize("name", BASES)
def test_models_are_listed(client: Callable[..., OpenAI], name: str) -> None:
    assert MODELS[name] in [model.id for model in client(name).models.list()]


@pytest.mark.parametrize("name", BASES)
def test_a_wrong_key_is_an_authentication_error(client: Callable[..., OpenAI], name: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        client(name, "sk-wrong").chat.completions.create(model="mock", messages=ASKED)


@pytest.mark.parametrize(
    ("scenario", "error"),
    [
        ("400_openai", openai.BadRequestError),
        ("403_text", openai.PermissionDeniedError),
        ("404_model", openai.NotFoundError),
        ("422_fastapi", openai.UnprocessableEntityError),
        ("429_retry_after", openai.RateLimitError),
        ("529_anthropic", openai.InternalServerError),
        ("close_at_once", openai.APIConnectionError),
    ],
)
def test_errors_are_what_the_package_takes_them_for(
    client: Callable[..., OpenAI], scenario: str, error: type[Exception]
) -> None:
    headers = {"X-Mock-Scenario": scenario}

    with pytest.raises(error):
        client().chat.completions.create(model="mock", messages=ASKED, extra_headers=headers)


def test_a_provider_s_own_refusal_is_a_bad_request(client: Callable[..., OpenAI]) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature: should be from 0 to 2"):
        client("meingpt").chat.completions.create(model="gpt-4o", messages=ASKED, temperature=2.5)
    with pytest.raises(openai.UnprocessableEntityError):
        client("morpheus").chat.completions.create(model="m", messages=[{"content": "x"}])  # type: ignore[list-item]


def test_an_error_inside_a_stream_is_raised(client: Callable[..., OpenAI]) -> None:
    with pytest.raises(openai.APIError, match="ran out of memory"):
        streamed(client(), extra_headers={"X-Mock-Scenario": "error_vllm"})


@pytest.mark.parametrize(
    "scenario", ["comments", "fields", "role_absent", "usage_with_choice", "reasoning", "chunk_extensions"]
)
def test_what_the_package_can_read_it_reads(client: Callable[..., OpenAI], scenario: str) -> None:
    text, _ = streamed(client(), extra_headers={"X-Mock-Scenario": scenario})

    assert text
