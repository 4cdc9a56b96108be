"""Each provider keeps to its document: paths, keys, rules, error bodies, what it heeds; and the log says what broke."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_mock_scenarios import _Response, finishes, heard

from loadtests.mock.front import Cast, Front
from loadtests.mock.journal import Journal
from loadtests.mock.options import settings_from
from loadtests.mock.providers import PROVIDERS
from loadtests.mock.request import Request, RequestReader
from loadtests.mock.script import Script
from loadtests.mock.wish import instance, wish_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCRIPT = Script(ttft_s=0.01, gap_s=0.001, ttft_sigma=0, gap_sigma=0, prefill_s_per_1k_tokens=0, output_tokens=12)
KEY = "sk-0123456789abcdef"
PATHS = {"generic": "/any/v1", "deutschlandgpt": "/v1", "meingpt": "/api/openai/v1", "8080": "/v1",
         "morpheus": "/api/v1", "llmgateway": "/v1"}  # fmt: skip
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
            "required": ["city", "days"],
        },
    },
}


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "x" * 40}], **fields}


def request(body: Any, path: str = "/v1/chat/completions", method: str = "POST", **headers: str) -> Request:
    fields = {"Host": "mock", "Authorization": f"Bearer {KEY}", "Content-Type": "application/json", **headers}
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
    lines += [f"Content-Length: {len(raw)}", "", ""]
    (made,) = RequestReader().feed("\r\n".join(lines).encode() + raw)
    return made


def front(name: str, script: Script = SCRIPT, **cast: Any) -> Front:
    return Front(script, None, Cast(PROVIDERS[name], **cast))


class _Answered(_Response):
    """An answer of a provider, and when each of its writes is due."""

    def __init__(self, name: str, made: Request, front_of: Front | None = None) -> None:
        answer, _ = (front_of or front(name)).answer(made, 1_700_000_000)
        self.offsets_ns = list(answer.offsets_ns)
        self.writes = list(answer.writes)
        super().__init__(self.writes)

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def text(self) -> str:
        return heard(self.values)["content"]


def say(name: str, **fields: Any) -> _Answered:
    return _Answered(name, request(chat(**fields)))


# Happy paths.


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", PROVIDERS)
def test_everybody_answers_at_its_own_path_and_at_the_usual_one(name: str, stream: bool) -> None:
    own = _Answered(name, request(chat(stream=stream), PATHS[name] + "/chat/completions"))
    usual = say(name, stream=stream)

    for answer in (own, usual):
        assert answer.status == 200
        assert answer.ends
        assert answer.text
        assert finishes(answer.values)[-1] == "stop"
        assert (b"[DONE]" in answer.body) == stream


@pytest.mark.parametrize("name", PROVIDERS)
def test_models_are_listed_and_other_paths_are_not_found(name: str) -> None:
    models = _Answered(name, request(b"", PATHS[name] + "/models", "GET"))
    nothing = _Answered(name, request(chat(), "/v2/elsewhere"))

    assert [m["id"] for m in models.json["data"]] == list(PROVIDERS[name].models)
    assert nothing.status == 404


@pytest.mark.parametrize(
    ("name", "asked", "told"),
    [("deutschlandgpt", True, False), ("meingpt", True, False), ("8080", True, True), ("8080", False, False),
     ("morpheus", False, True), ("llmgateway", False, True)],
)  # fmt: skip
def test_a_stream_tells_its_usage_where_the_provider_does(name: str, asked: bool, told: bool) -> None:
    usage = [v for v in say(name, stream=True, stream_options={"include_usage": asked}).values if v.get("usage")]

    assert bool(usage) is told


def test_8080_answers_in_one_write_and_tells_its_seconds() -> None:
    """The first token of the script is due after 10 ms."""
    streamed = say("8080", stream=True, stream_options={"include_usage": True})
    whole = say("8080")

    assert [w for w in streamed.writes if w] == [streamed.writes[0]]
    assert streamed.offsets_ns == whole.offsets_ns == [10_000_000]
    assert streamed.values[-1]["usage"]["total_time"] == whole.json["usage"]["total_time"] == 0.01
    assert set(whole.json["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens", "total_time"}


def test_meingpt_ignores_what_its_page_does_not_list() -> None:
    free = say("meingpt").json

    bound = say("meingpt", max_tokens=1, max_completion_tokens=1, stop=[" "], n=3, seed=7, top_p=9).json

    assert bound == free


def test_the_cap_counts_under_the_name_that_the_provider_reads() -> None:
    def tokens(name: str, **cap: int) -> int:
        count: int = say(name, **cap).json["usage"]["completion_tokens"]
        return count

    assert tokens("8080", max_completion_tokens=2) == 2
    assert tokens("8080", max_tokens=2) > 2
    assert tokens("morpheus", max_tokens=2) == 2
    assert tokens("morpheus", max_completion_tokens=2) > 2
    assert tokens("deutschlandgpt", max_tokens=2) == 2


def test_morpheus_opens_a_session_for_each_model_once() -> None:
    """The script's 10 ms, and 2 s for the session; "m" is none of its models, so the default one answers."""
    morpheus = front("morpheus", cold_session_s=2.0)

    first, second, other = (
        _Answered("", request(chat(model=model)), morpheus) for model in ("m", "llama-3.3-70b", "qwen3-235b")
    )

    assert [a.offsets_ns[0] // 10_000_000 > 200 for a in (first, second, other)] == [True, False, True]
    assert [a.json["model"] for a in (first, second, other)] == ["llama-3.3-70b", "llama-3.3-70b", "qwen3-235b"]
    assert _Answered("", request({"messages": [{"role": "user"}]}), morpheus).json["model"] == "llama-3.3-70b"


def test_morpheus_counts_beside_usage_and_tells_its_limits() -> None:
    """22:13:20 is in the minute that ends at 22:14."""
    whole, streamed = say("morpheus"), say("morpheus", stream=True)

    for value in (whole.json, streamed.values[-1]):
        assert value["usage_from_provider"] == value["usage_from_consumer"]
        assert value["usage_from_provider"]["completion_tokens"] == value["usage"]["completion_tokens"]
    assert streamed.values[0]["choices"][0]["delta"] == {"role": "assistant"}
    assert streamed.values[-2]["choices"][0]["finish_reason"] == "stop"
    assert streamed.values[-2]["choices"][0]["delta"]["content"]
    assert streamed.headers["x-ratelimit-reset-requests"] == "2023-11-14T22:14:00+00:00"


def test_llm_gateway_names_its_events() -> None:
    events = say("llmgateway", stream=True).body.decode().strip().split("\n\n")

    assert [e.split("\n")[0] for e in events] == ["event: chunk"] * (len(events) - 1) + ["event: done"]
    assert events[-1] == f"event: done\ndata: [DONE]\nid: {len(events) - 1}"
    assert b'"choices":[{"index":0,"delta":{},"finish_reason":null}],"usage":{' in events[-2].encode()


# Tools, formats, choices, stops.


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_tool_is_called_with_arguments_that_its_schema_allows(name: str) -> None:
    streamed = say(name, stream=True, tools=[WEATHER])
    plain = say(name, tools=[WEATHER])

    said = heard(streamed.values)["tool"]
    assert orjson.loads(said.removeprefix("weather")) == {"city": "first token", "days": 2}
    assert heard(plain.values)["tool"] == said
    assert finishes(streamed.values)[-1] == finishes(plain.values)[-1] == "tool_calls"
    assert ("text/event-stream" in plain.headers["content-type"]) == (name == "morpheus")


def test_no_tool_is_called_where_none_is_wanted_or_its_result_is_there() -> None:
    result = [*chat()["messages"], {"role": "tool", "tool_call_id": "call_0", "content": "sunny"}]

    assert say("generic", tools=[WEATHER], tool_choice="none").text
    assert say("generic", tools=[WEATHER], messages=result).text
    required = say("generic", tools=[WEATHER], messages=result, tool_choice="required")
    assert heard(required.values)["tool"]
    other = {"type": "function", "function": {"name": "other"}}
    chosen = say("generic", tools=[WEATHER, other], tool_choice=other)
    assert heard(chosen.values)["tool"] == "other{}"


def test_json_is_answered_where_it_is_asked_for_and_cut_by_the_cap() -> None:
    """Four characters count as a token."""
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": WEATHER["function"]["parameters"]}}  # type: ignore[index]

    for name in ("generic", "deutschlandgpt", "meingpt", "8080"):
        assert orjson.loads(say(name, stream=True, response_format={"type": "json_object"}).text)
        assert orjson.loads(say(name, response_format=schema).text) == {"city": "first token", "days": 2}
    short = say("generic", response_format=schema, max_tokens=2)
    assert short.text == '{"city":'
    assert finishes(short.values) == ["length"]


def test_choices_and_stops_are_heeded() -> None:
    """Twelve tokens or so, the same three times; then only what comes before the third word's."""
    usual = say("generic").text
    words = usual.split(" ")
    stop = f" {words[3]}"

    three = say("generic", stream=True, n=3, stream_options={"include_usage": True})
    cut = say("generic", stream=True, stop=["never said", stop])

    assert [sum(c["index"] == i for v in three.values for c in v["choices"]) for i in range(3)] == [
        len(three.values[:-1]) // 3
    ] * 3
    assert three.values[-1]["usage"]["completion_tokens"] % 3 == 0
    assert usual.startswith(cut.text)
    assert cut.text == usual[: usual.index(stop)]
    assert finishes(cut.values) == ["stop"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["type", "properties", "required", "items", "enum", "$ref", "anyOf", "minimum", "minItems",
                         "maxLength", "function", "name", "parameters", "role", "json_schema", "schema"]),
        inner | st.sampled_from(["object", "array", "string", "number", "#", "#/properties"]), max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
@pytest.mark.slow
def test_no_schema_brings_it_down(schema: Any) -> None:
    orjson.dumps(instance(schema))


@given(st.dictionaries(st.sampled_from(["tools", "tool_choice", "response_format", "n", "stop", "messages"]), JSON))
def test_no_fields_bring_it_down(fields: dict[str, Any]) -> None:
    wish_of(fields, {"n", "stop", "tools", "response_format"})
    for name in PROVIDERS:
        assert _Answered(name, request({**chat(), **fields})).status in (200, 400, 422)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"type": ["string", "null"], "minLength": 12, "maxLength": 12}, "first token."),
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"type": "null"}, None),
        ({"type": "number", "maximum": -1.5}, -1.5),
        ({"anyOf": [{"type": "integer", "exclusiveMinimum": 3}]}, 4),
        ({"$defs": {"a": {"enum": [1]}}, "properties": {"x": {"$ref": "#/$defs/a"}}, "required": ["x"]}, {"x": 1}),
    ],
)  # fmt: skip
def test_an_instance_is_what_its_schema_allows(schema: Any, value: Any) -> None:
    assert instance(schema) == value


# Refusals.


def refusal(name: str, **fields: Any) -> tuple[int, Any]:
    answer = say(name, **fields)
    return answer.status, answer.json


def test_each_provider_refuses_in_its_own_shape() -> None:
    assert refusal("meingpt", temperature=2.5) == (
        400, {"status": "error", "message": "temperature: should be from 0 to 2"}
    )  # fmt: skip
    assert refusal("deutschlandgpt", temperature="hot") == (
        400, {"error": {"message": "temperature: should be number"}}
    )  # fmt: skip
    status, body = refusal("8080", reasoning_effort="low")
    assert (status, set(body["error"])) == (400, {"message", "type", "code"})
    assert "minimal, medium, high" in body["error"]["message"]
    assert refusal("llmgateway", stream="yes") == (
        400, {"error": True, "status": 400, "message": "stream: should be boolean"}
    )  # fmt: skip
    status, body = refusal("morpheus", max_tokens="many", n=1.5)
    assert status == 422
    assert [(d["loc"], d["type"]) for d in body["detail"]] == [
        (["body", "n"], "integer_type"), (["body", "max_tokens"], "integer_type")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("8080", {"messages": [{"role": "function", "content": "x"}]}),
        ("8080", {"messages": [{"role": "user", "content": None}]}),
        ("8080", {"presence_penalty": 0.5}),
        ("8080", {"stop": "x"}),
        ("8080", {"stop": [1]}),
        ("8080", {"response_format": {"type": "xml"}}),
        ("8080", {"tools": [{"type": "function", "function": {"description": "nameless"}}]}),
        ("8080", {"stream_options": {"include_usage": 1}}),
        ("8080", {"top_logprobs": True}),
        ("meingpt", {"tool_choice": "any"}),
        ("meingpt", {"temperature": -0.1}),
        ("meingpt", {"model": None}),
        ("deutschlandgpt", {"messages": ["hi"]}),
        ("morpheus", {"messages": [{"content": "no role"}]}),
        ("morpheus", {"temperature": "1"}),
    ],
)
def test_what_breaks_a_rule_is_refused(name: str, fields: dict[str, Any]) -> None:
    assert say(name, **fields).status == PROVIDERS[name].invalid


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("8080", {"reasoning_effort": "minimal", "logit_bias": {"5": 1}, "temperature": 3, "n": 2, "stop": ["x"]}),
        ("meingpt", {"temperature": 2, "tool_choice": {"type": "function"}, "response_format": {"type": "text"}}),
        ("morpheus", {"model": None, "temperature": None, "stop": "x", "session_id": None, "stream": None}),
        ("deutschlandgpt", {"max_tokens": 5.0, "temperature": 9}),
    ],
)
def test_what_the_document_allows_is_answered(name: str, fields: dict[str, Any]) -> None:
    assert say(name, **fields).status == 200


def test_a_missing_field_and_a_broken_body_are_refused() -> None:
    for name, provider in PROVIDERS.items():
        assert _Answered(name, request({"model": "m"})).status == provider.invalid
        assert _Answered(name, request(b"{")).status == provider.invalid
        assert _Answered(name, request(b"[]")).status == provider.invalid


def test_keys_are_looked_at_as_each_provider_does() -> None:
    def status(name: str, key: str | None, authorization: str) -> int:
        of = Front(SCRIPT, key, Cast(PROVIDERS[name]))
        return _Answered(name, request(chat(), Authorization=authorization), of).status

    assert status("morpheus", None, "Bearer other") == 401
    assert status("morpheus", None, "sk-raw") == 200
    assert status("morpheus", "sk-right", "Bearer sk-wrong") == 401
    assert status("meingpt", None, "Bearer anything") == 200
    assert status("meingpt", None, "") == 401
    assert status("8080", "k", "Bearer k") == 200
    assert status("8080", "k", "Bearer l") == 401
    assert status("generic", None, "") == 200
    detail = _Answered("morpheus", request(chat(), Authorization="Bearer jwt"))
    assert detail.json == {"detail": "Invalid API key format. Must start with sk-"}
    assert detail.headers["www-authenticate"] == "Bearer"


def test_faults_are_worded_by_the_provider_too() -> None:
    def status(name: str, fault: str) -> _Answered:
        script = Script(error_rate=1.0, faults=(fault,))
        return _Answered(name, request(chat(stream=True)), front(name, script))

    assert status("meingpt", "http_500").json["status"] == "error"
    assert status("morpheus", "http_429").headers["retry-after"] == "2"
    assert set(status("deutschlandgpt", "http_500").json["error"]) == {"message", "type", "param", "code"}
    assert not status("meingpt", "cut").ends


# The request log.


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Any]:
    """A function that answers requests of a provider and gives the log's lines."""
    path = tmp_path / "asked.jsonl"

    def answered(name: str, *requests: Request) -> list[dict[str, Any]]:
        with closing(Journal(path)) as journal:
            of = Front(SCRIPT, None, Cast(PROVIDERS[name]), journal)
            for one in requests:
                of.answer(one, 1_700_000_000)
        return [orjson.loads(line) for line in path.read_bytes().splitlines()]

    return answered  # type: ignore[return-value]


def test_the_request_log_has_what_was_asked_and_no_secret(lines: Any, tmp_path: Path) -> None:
    asked = request(
        chat(stream=True, user=KEY), f"/v1/chat/completions?scenario=no_done&key={KEY}&v=1", Accept="text/event-stream",
        X_Api_Key=f"{KEY}2", X_Other=f"as {KEY}",
    )  # fmt: skip

    first, second = lines("8080", asked, request(b"", "/v1/models", "GET"))

    assert KEY.encode() not in (tmp_path / "asked.jsonl").read_bytes()
    assert (first["method"], first["path"], first["number"]) == ("POST", "/v1/chat/completions", 1)
    assert first["query"] == {"scenario": "no_done", "key": "<19 chars>", "v": "1"}
    assert first["headers"]["authorization"] == "Bearer <19 chars>"
    assert first["body"]["messages"] == {"messages": 1, "characters": 40}
    assert first["body"]["stream"] is True
    assert (first["scenario"], first["refused"], first["broken"]) == ("no_done", None, [])
    assert (second["method"], second["body"], second["broken"]) == ("GET", None, [])


@pytest.mark.parametrize(
    ("name", "fields", "headers", "broken"),
    [
        ("meingpt", {"max_tokens": 5, "temperature": 3}, {}, [
            "temperature: should be from 0 to 2", "ignored parameter max_tokens",
            "the key does not begin with sk_meingpt_"]),
        ("deutschlandgpt", {"seed": 1}, {"Content-Type": "text/plain"}, [
            "undocumented parameter seed", "Content-Type is not application/json"]),
        ("morpheus", {"tools": [WEATHER]}, {"Accept": "*/*"}, [
            "Accept is not application/json", "tools without streaming"]),
        ("morpheus", {"stream": True, "tools": [WEATHER]}, {"Accept": "text/event-stream"}, []),
        ("morpheus", {"stream": True, "seed": 1}, {"Accept": "application/json"}, [
            "dropped parameter seed", "Accept is not text/event-stream"]),
        ("8080", {"tool_choice": "auto"}, {}, ["undocumented parameter tool_choice"]),
        ("generic", {"anything": 1}, {}, []),
    ],
)  # fmt: skip
def test_the_request_log_says_which_rules_were_broken(
    lines: Any, name: str, fields: dict[str, Any], headers: dict[str, str], broken: list[str]
) -> None:
    (line,) = lines(name, request(chat(**fields), **headers))

    assert line["broken"] == broken


# Options.


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"prepared": True, "ttft_sigma": 0.0, "gap_sigma": 0.0, "provider": "8080"}, "--prepared: .* --provider 8080"),
        ({"prepared": True, "ttft_sigma": 0.0, "gap_sigma": 0.0, "scenarios": ("crlf",)}, "--prepared: .* --scenario"),
        ({"scenarios": ("crfl",)}, "--scenario: 'crfl' isn't one; did you mean crlf"),
        ({"scenario_share": 0.5}, "--scenario-share: does nothing without --scenario"),
        ({"scenarios": ("crlf",), "scenario_share": 1.5}, "--scenario-share: 1.5 isn't a share"),
        ({"cold_session_s": 2.0}, "--cold-session: generic has no sessions"),
        ({"cold_session_s": -1.0, "provider": "morpheus"}, "--cold-session: -1.0 isn't"),
        ({"error_rate": 2.0}, "--error-rate: 2.0 isn't a share from 0 to 1"),
        ({"port": 70000}, "--port: 70000"),
    ],
)
def test_what_cannot_be_says_which_option(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=f"^{problem}"):
        settings_from(values)
