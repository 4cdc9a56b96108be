"""
The profiles that come along: each sound, and the four with a document of their own held against it.

The tables below are written from the providers' documents, not from the files.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from loadtests.profiles import builtin_dir, load, mistakes, names
from loadtests.profiles.request import refusal

SEEDS = ("deutschlandgpt", "meingpt", "8080", "morpheus")
LOCAL = {"litellm", "llamacpp", "mock", "ollama", "sglang", "tgi", "vllm"}
SHIPPED = {
    "8080", "anthropic", "azure", "cerebras", "deepseek", "deutschlandgpt", "fireworks", "gemini", "groq", "litellm",
    "llamacpp", "meingpt", "mistral", "mock", "morpheus", "ollama", "openai", "openrouter", "sglang", "tgi", "together",
    "vllm",
}  # fmt: skip


def test_the_shipped_profiles_are_these() -> None:
    assert names() == sorted(SHIPPED)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_shipped_profile_is_sound_and_says_what_it_rests_on(name: str) -> None:
    profile, found = mistakes(name)

    assert found == []
    assert profile is not None
    assert profile.name == name
    assert profile.verified == ("seed" if name in SEEDS else "live" if name == "mock" else "doc")
    assert profile.embedded == (name == "mock")
    assert profile.auth.required == (name not in LOCAL)
    text = (builtin_dir() / f"{name}.toml").read_text(encoding="utf-8")
    assert text.startswith("# "), "a profile's comments say why"


@pytest.mark.parametrize("name", sorted(SHIPPED - {"mock"}))
def test_a_shipped_profile_has_a_sane_address(name: str) -> None:
    profile = load(name).filled(dict.fromkeys(load(name).placeholders, "x"), {})
    url = urlsplit(profile.url)

    assert (url.scheme == "http") == (url.hostname == "127.0.0.1") == (name in LOCAL)
    assert url.path.endswith("/chat/completions")
    assert bool(url.query) == (name == "azure")
    assert profile.models_url is not None
    assert profile.models_url.partition("?")[0].endswith("/models")
    assert profile.auth.env is not None


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_what_is_general_knowledge_is_marked_so(name: str) -> None:
    """Each of these is not said on any page that was read; the facts file marks them, or says nothing of them."""
    said = set(load(name).unverified)
    doubtful = {
        "azure": {"stream_usage", "variables.api_version.default"},
        "deepseek": {"stream_usage"},
        "deutschlandgpt": {"models_path", "errors"},
        "fireworks": {"stream_usage", "errors"},
        "gemini": {"output_cap_param"},
        "mistral": {"stream_usage", "errors"},
        "ollama": {"params.ignored"},
        "together": {"base_url", "stream_usage", "errors"},
        "8080": {"server_time_paths"},
        "meingpt": {"models_path", "output_cap_param", "default_model"},
        "morpheus": {"base_url", "default_model"},
    }
    assert doubtful.get(name, set()) <= said
    assert name in {"8080", "morpheus", "mock"} or "models_path" in said


def test_a_key_that_need_not_be_sent_has_a_variable_of_the_profiles_own() -> None:
    """Any other may be set for something else, and its value would go to whatever listens."""
    optional = {name: load(name).auth.env for name in names() if load(name).auth.env and not load(name).auth.required}

    assert optional == {name: f"{name.upper()}_API_KEY" for name in LOCAL - {"mock"}}


def test_a_suspended_account_at_fireworks_is_told_as_such() -> None:
    assert [doc.meaning for doc in load("fireworks").errors if doc.status == 412] == ["the account is suspended"]


# The four documents: address, key, cap, usage.


@pytest.mark.parametrize(
    ("name", "url", "env", "prefix", "rest"),
    [
        ("deutschlandgpt", "https://api.deutschlandgpt.de/v1", "DEUTSCHLANDGPT_API_KEY", None,
         ("max_tokens", "unknown", "gpt-4o")),
        ("meingpt", "https://app.meingpt.com/api/openai/v1", "MEINGPT_API_KEY", "sk_meingpt_",
         ("none", "unknown", "gpt-4o-mini")),
        ("8080", "https://api.8080.io/v1", "_8080_API_KEY", None,
         ("max_completion_tokens", "option", "8080/taalas/llama3.1-8b-instruct")),
        ("morpheus", "https://api.mor.org/api/v1", "MORPHEUS_API_KEY", "sk-",
         ("max_tokens", "unknown", "llama-3.3-70b")),
    ],
)  # fmt: skip
def test_where_the_four_are_and_what_they_take(
    name: str, url: str, env: str, prefix: str | None, rest: tuple[str, str, str]
) -> None:
    """The rest: where the output cap goes, when streams tell usage, the model that is asked unless another is."""
    profile = load(name)

    assert profile.url == f"{url}/chat/completions"
    assert profile.models_url == f"{url}/models"
    assert (profile.auth.header, profile.auth.scheme, profile.auth.env) == ("Authorization", "Bearer", env)
    assert profile.auth.key_prefix == prefix
    assert (profile.output_cap_param, profile.stream_usage, profile.default_model) == rest


NULLABLE = "null"
DOCUMENTED: dict[str, dict[str, set[str]]] = {
    "deutschlandgpt": {
        "model": {"string"}, "messages": {"array<object>"}, "tools": {"array<object>"}, "temperature": {"number"},
        "max_tokens": {"number"}, "response_format": {"object"}, "stream": {"boolean"},
    },
    "meingpt": {
        "model": {"string"}, "messages": {"array"}, "response_format": set(), "stream": {"boolean"},
        "temperature": {"number"}, "tools": {"array"}, "tool_choice": {"string", "object"},
    },
    "8080": {
        "messages": {"array<object>"}, "model": {"string"}, "reasoning_effort": {"string"}, "stream": {"boolean"},
        "stream_options": {"object"}, "parallel_tool_calls": {"boolean"}, "user": {"string"},
        "tools": {"array<object>"}, "frequency_penalty": {"number"}, "logit_bias": {"object<integer>"},
        "logprobs": {"boolean"}, "top_logprobs": {"integer"}, "max_completion_tokens": {"integer"}, "n": {"integer"},
        "presence_penalty": {"integer"}, "response_format": {"object"}, "stop": {"array<string>"},
        "temperature": {"number"}, "top_p": {"number"},
    },
    "morpheus": {
        "model": {"string", NULLABLE}, "messages": {"array<object>"}, "temperature": {"number", NULLABLE},
        "top_p": {"number", NULLABLE}, "n": {"integer", NULLABLE}, "stream": {"boolean", NULLABLE},
        "stop": {"string", "array", NULLABLE}, "max_tokens": {"integer", NULLABLE},
        "presence_penalty": {"number", NULLABLE}, "frequency_penalty": {"number", NULLABLE},
        "tools": {"array", NULLABLE}, "tool_choice": {"string", "object", NULLABLE}, "session_id": {"string", NULLABLE},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SEEDS)
def test_every_documented_parameter_has_its_type_and_no_other_is_listed(name: str) -> None:
    params = load(name).params

    assert set(params.supported or ()) == set(DOCUMENTED[name])
    for key, kinds in DOCUMENTED[name].items():
        assert set(params.types.get(key, ())) == kinds, key


@pytest.mark.parametrize(
    ("name", "required", "others"),
    [
        ("deutschlandgpt", {"model", "messages"}, "unknown"),
        ("meingpt", {"model", "messages"}, "ignored"),
        ("8080", {"model", "messages"}, "unknown"),
        ("morpheus", {"messages"}, "ignored"),
    ],
)
def test_what_is_required_and_what_becomes_of_the_rest(name: str, required: set[str], others: str) -> None:
    params = load(name).params

    assert {place for place in params.required if "." not in place} == required
    assert params.others == others


def test_the_choices_and_ranges_of_the_documents() -> None:
    assert load("meingpt").params.ranges == {"temperature": (0, 2)}
    assert load("meingpt").params.choices == {"tool_choice": ("auto", "none", "required")}
    assert load("8080").params.choices == {
        "reasoning_effort": ("minimal", "medium", "high"),
        "messages[].role": ("system", "user", "assistant", "developer", "tool"),
        "response_format.type": ("text", "json_object", "json_schema"),
    }
    assert not any(load(name).params.ranges for name in ("deutschlandgpt", "8080", "morpheus"))


def test_the_types_inside_messages_and_tools_of_morpheus() -> None:
    types = load("morpheus").params.types
    message = {"role": "user", "name": "n", "tool_calls": [{}], "tool_call_id": "c"}
    tool = {"type": "function", "function": {"name": "n", "description": "d", "parameters": {}}}

    assert set(types["messages[].tool_calls"]) == {"array<object>", NULLABLE}
    assert {types[f"messages[].{key}"] for key in ("name", "tool_call_id")} == {("string", NULLABLE)}
    assert refusal(load("morpheus"), "tools", [tool]) is refusal(load("morpheus"), "messages", [message]) is None
    for wrong in ("x", {"name": 1}, {"name": "n", "parameters": []}, {"name": "n", "description": 1}):
        assert refusal(load("morpheus"), "tools", [tool | {"function": wrong}]) is not None


def test_what_8080_requires_inside_its_objects() -> None:
    inside = {place for place in load("8080").params.required if "." in place}

    assert inside == {
        "messages[].role", "messages[].tool_calls[].id", "messages[].tool_calls[].type",
        "messages[].tool_calls[].function.name", "messages[].tool_calls[].function.arguments", "tools[].type",
        "tools[].function", "tools[].function.name", "response_format.type", "response_format.json_schema.name",
        "response_format.json_schema.schema",
    }  # fmt: skip


def test_only_morpheus_ties_accept_to_stream_and_tools_to_streaming() -> None:
    for name in names():
        profile, bound = load(name), name == "morpheus"
        assert (profile.accept.stream == "text/event-stream") == bound
        assert (profile.accept.plain == "application/json") == bound
        assert profile.tools.requires_stream == bound
        assert profile.tools.supported
    assert {name: load(name).tools.choice for name in SEEDS} == {
        "deutschlandgpt": False, "meingpt": True, "8080": False, "morpheus": True,
    }  # fmt: skip


SHORT = ("/error/message", None, None, None)
LONG = ("/error/message", "/error/type", "/error/code", "/error/param")
OF_8080 = ("/error/message", "/error/type", "/error/code", None)
FLAT = ("/message", None, None, None)
ERRORS: dict[str, list[tuple[int | None, Any]]] = {
    "deutschlandgpt": [(None, SHORT)] * 5 + [(None, LONG)],
    "meingpt": [(400, FLAT), (401, FLAT), (403, FLAT), (500, FLAT)],
    "8080": [(401, OF_8080), (429, OF_8080)],
    "morpheus": [
        (400, OF_8080), (401, ("/detail", None, None, None)), (402, ("/error/message", "/error/type", None, None)),
        (422, ("/detail/0/msg", "/detail/0/type", None, "/detail/0/loc")), (426, ("/message", "/error", None, None)),
        (429, LONG), *[(status, ("/error/message", "/error/type", None, None)) for status in (500, 502, 503, 504)],
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SEEDS)
def test_the_documented_errors_by_status_and_shape(name: str) -> None:
    found = [(doc.status, (doc.message, doc.type, doc.code, doc.param)) for doc in load(name).errors]

    assert found == ERRORS[name]


def test_where_counts_times_and_limits_are() -> None:
    assert load("morpheus").usage_paths == ("/usage_from_provider", "/usage_from_consumer")
    assert load("8080").server_time_paths == ("/usage/total_time",)
    assert load("groq").usage_paths == ("/x_groq/usage",)
    assert load("groq").server_time_paths == ("/x_groq/usage/total_time", "/usage/total_time")
    assert load("cerebras").server_time_paths == ("/time_info/total_time",)
    assert load("llamacpp").usage_paths == ("/timings/predicted_n",)
    assert {name: load(name).rate_limit.reset for name in ("morpheus", "anthropic", "openai", "azure", "groq")} == {
        "morpheus": "iso8601", "anthropic": "iso8601", "openai": "duration", "azure": "seconds", "groq": "duration",
    }  # fmt: skip
    headers = load("morpheus").rate_limit.headers
    assert set(headers.values()) == {
        f"X-RateLimit-{part}-{unit}" for part in ("Limit", "Remaining", "Reset") for unit in ("Requests", "Tokens")
    }
    assert not any(load(name).rate_limit.headers for name in ("deutschlandgpt", "meingpt", "8080"))


def test_sessions_and_silent_fallbacks_of_morpheus_are_said() -> None:
    profile = load("morpheus")

    assert profile.session is not None
    assert profile.session.param == "session_id"
    assert any("model_answered" in note for note in profile.notes)
    assert profile.timeouts.first_byte == 300


def test_azure_is_a_resource_and_a_deployment() -> None:
    azure = load("azure").filled({"resource": "acme", "api_version": "v9"}, {"AZURE_OPENAI_DEPLOYMENT": "four"})

    assert azure.url == "https://acme.openai.azure.com/openai/deployments/four/chat/completions?api-version=v9"
    assert (azure.auth.header, azure.auth.scheme) == ("api-key", "")
    assert azure.default_model == "four"


@pytest.mark.parametrize(
    ("name", "cap", "usage"),
    [
        ("openai", "max_completion_tokens", "option"), ("groq", "max_completion_tokens", "always"),
        ("cerebras", "max_completion_tokens", "always"), ("openrouter", "max_tokens", "option"),
        ("anthropic", "max_tokens", "option"), ("vllm", "max_tokens", "option"), ("tgi", "max_tokens", "option"),
    ],
)  # fmt: skip
def test_cap_and_usage_of_some_others(name: str, cap: str, usage: str) -> None:
    assert (load(name).output_cap_param, load(name).stream_usage) == (cap, usage)
