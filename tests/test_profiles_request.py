"""What a provider would refuse, ignore or not know in a request, said before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.profiles import Profile, ProfileError, check_request, load, names
from loadtests.profiles.request import found_at, is_a

if TYPE_CHECKING:
    from collections.abc import Mapping

TOOL = {"type": "function", "function": {"name": "f"}}
NAMELESS = {"type": "function", "function": {}}
SCHEMA = {"name": "n", "schema": {}}


def notes(name: str, params: Mapping[str, Any], *, plain: bool = False, cap: int | None = None) -> list[str]:
    """What is said of streamed requests to a shipped provider."""
    return check_request(load(name), params, streamed=True, plain=plain, output_cap=cap)


def made(**rules: Any) -> Profile:
    """A profile with these rules for parameters."""
    raw = {"name": "x", "title": "X", "base_url": "http://h/v1", "params": rules}
    return Profile.model_validate(raw)


@pytest.mark.parametrize(
    ("name", "params", "line"),
    [
        ("meingpt", {"temperature": 2.5}, "--param temperature=2.5 isn't a number in [0, 2], the range of meingpt"),
        ("meingpt", {"temperature": -0.1}, "--param temperature=-0.1 isn't a number in [0, 2], the range of meingpt"),
        ("meingpt", {"temperature": True}, "--param temperature=true isn't a number in [0, 2], the range of meingpt"),
        ("meingpt", {"temperature": "1"}, '--param temperature="1" isn\'t a number in [0, 2], the range of meingpt'),
        ("meingpt", {"tools": {}}, "--param tools={} isn't an array, as meingpt takes it"),
        (
            "meingpt",
            {"tool_choice": "any"},
            '--param tool_choice="any" isn\'t one of [auto, none, required], the choices of meingpt',
        ),
        (
            "8080",
            {"reasoning_effort": "low"},
            '--param reasoning_effort="low" isn\'t one of [minimal, medium, high], the choices of 8080',
        ),
        ("8080", {"stop": "x"}, '--param stop="x" isn\'t an array of texts, as 8080 takes it'),
        ("8080", {"stop": ["x", 1]}, '--param stop=["x", 1] isn\'t an array of texts, as 8080 takes it'),
        ("8080", {"presence_penalty": 0.5}, "--param presence_penalty=0.5 isn't a whole number, as 8080 takes it"),
        ("8080", {"n": True}, "--param n=true isn't a whole number, as 8080 takes it"),
        ("8080", {"top_p": None}, "--param top_p=null isn't a number, as 8080 takes it"),
        (
            "8080",
            {"logit_bias": {"1": 0.5}},
            '--param logit_bias={"1": 0.5} isn\'t an object of whole numbers, as 8080 takes it',
        ),
        (
            "8080",
            {"response_format": {"type": "xml"}},
            (
                '--param response_format={"type": "xml"} has response_format.type = "xml", '
                "which isn't one of [text, json_object, json_schema], the choices of 8080"
            ),
        ),
        (
            "8080",
            {"response_format": {}},
            "--param response_format={} has no response_format.type, which 8080 requires",
        ),
        (
            "8080",
            {"tools": [NAMELESS]},
            (
                '--param tools=[{"type": "function", "function": {}}] '
                "has no tools[].function.name, which 8080 requires"
            ),
        ),
        ("morpheus", {"n": 1.5}, "--param n=1.5 isn't a whole number or null, as morpheus takes it"),
        ("morpheus", {"stop": 1}, "--param stop=1 isn't a text, an array or null, as morpheus takes it"),
        ("deutschlandgpt", {"temperature": "1"}, '--param temperature="1" isn\'t a number, as deutschlandgpt takes it'),
        ("groq", {"n": 2}, "--param n=2 isn't one of [1], the choices of groq"),
        ("anthropic", {"n": 2}, "--param n=2 isn't one of [1], the choices of anthropic"),
    ],
)  # fmt: skip
def test_what_a_provider_would_refuse_is_refused_before_it_is_sent(
    name: str, params: dict[str, Any], line: str
) -> None:
    with pytest.raises(ProfileError) as caught:
        notes(name, params)

    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("meingpt", {"temperature": 0, "tools": [TOOL], "tool_choice": {"type": "function"}}),
        ("meingpt", {"temperature": 2.0, "tool_choice": "required", "response_format": {"type": "text"}}),
        ("8080", {"reasoning_effort": "minimal", "presence_penalty": 1, "frequency_penalty": 0.5, "stop": ["x"]}),
        ("8080", {"tools": [TOOL], "response_format": {"type": "json_schema", "json_schema": SCHEMA}}),
        ("8080", {"logit_bias": {"1": -100}, "n": 2, "logprobs": True, "top_logprobs": 3, "user": "u"}),
        ("morpheus", {"temperature": None, "n": None, "stop": "x", "tool_choice": None, "session_id": "0x1"}),
        ("morpheus", {"tools": [TOOL], "tool_choice": {"type": "function"}, "stop": ["x"]}),
        ("vllm", {"anything": {"goes": [1]}}),
    ],
)
def test_what_a_provider_documents_needs_no_word(name: str, params: dict[str, Any]) -> None:
    assert notes(name, params, cap=64 if name != "meingpt" else None) == []


def test_tools_to_morpheus_need_a_stream() -> None:
    """Source: its document; with --stream-share below 1 some requests would be for whole answers."""
    with pytest.raises(ProfileError) as caught:
        notes("morpheus", {"tools": [TOOL]}, plain=True)

    assert str(caught.value) == "tools: morpheus takes them in streamed requests alone; send only these with --stream"
    assert notes("morpheus", {"tools": []}, plain=True) == []
    assert notes("openai", {"tools": [TOOL]}, plain=True) == []


def test_what_is_ignored_clamped_or_not_documented_is_named() -> None:
    assert notes("meingpt", {"seed": "any type", "unheard_of": 2}) == [
        "--param seed: meingpt accepts it and ignores it",
        "--param unheard_of: meingpt accepts it and ignores it",
    ]
    assert notes("morpheus", {"response_format": {}}) == ["--param response_format: morpheus accepts it and ignores it"]
    assert notes("anthropic", {"temperature": 1.5}) == [
        "--param temperature=1.5: anthropic takes [0, 1] and moves it in there"
    ]
    (line,) = notes("deutschlandgpt", {"top_p": 1})
    assert line.startswith("--param top_p: deutschlandgpt doesn't document it; documented: [model, messages, ")
    (line,) = notes("8080", {"tool_choice": "auto"})
    assert line == "--param tool_choice: 8080 isn't known to take it; tools are its model's own choice"


def test_a_refusal_that_rests_on_an_unverified_claim_is_only_told() -> None:
    assert notes("groq", {"logprobs": True}) == [
        "--param logprobs=true is refused by groq: leave it out (unverified, so it is sent)"
    ]
    sure = made(ranges={"n": [1, 2]})
    doubtful = sure.model_copy(update={"unverified": ("params.ranges.n",)})
    with pytest.raises(ProfileError, match=r"^--param n=3 isn't a number in \[1, 2\], the range of x$"):
        check_request(sure, {"n": 3}, streamed=True, plain=False, output_cap=None)
    assert len(check_request(doubtful, {"n": 3}, streamed=True, plain=False, output_cap=None)) == 1


def test_a_cap_that_nobody_honours_is_cut_by_this_client() -> None:
    place = "--output-tokens 64: meingpt takes no output cap"
    streamed = f"{place}; this client closes a stream at 64 tokens (flag cut_at_cap)"
    whole = f"{place}; whole answers can't be cut and may be longer"
    profile = load("meingpt")

    assert check_request(profile, {}, streamed=True, plain=False, output_cap=64) == [streamed]
    assert check_request(profile, {}, streamed=False, plain=True, output_cap=64) == [whole]
    assert check_request(profile, {}, streamed=True, plain=True, output_cap=64) == [streamed, whole]
    assert check_request(profile, {}, streamed=True, plain=True, output_cap=None) == []
    assert notes("morpheus", {}, plain=True, cap=64) == []


def test_a_cap_beyond_its_range_is_refused() -> None:
    profile = made(ranges={"max_tokens": [1, 100]})

    assert check_request(profile, {}, streamed=True, plain=True, output_cap=100) == []
    with pytest.raises(ProfileError, match=r"^--output-tokens 101 isn't a number in \[1, 100\], the range of x$"):
        check_request(profile, {}, streamed=True, plain=True, output_cap=101)


@pytest.mark.parametrize(
    ("rules", "params", "line"),
    [
        ({"forbidden": ["n"]}, {"n": 2}, "--param n=2 is refused by x: leave it out"),
        ({"choices": {"n": [1, 2]}}, {"n": True}, "--param n=true isn't one of [1, 2], the choices of x"),
        (
            {"supported": ["n"], "others": "refused"},
            {"m": 2},
            "--param m=2 is refused by x, which takes [n]: leave it out",
        ),
        ({"required": ["project"]}, {}, "x requires the parameter project; give it with --param project=JSON"),
        ({"forbidden": ["stream"]}, {}, "--stream: x does not stream; ask for whole answers with --no-stream"),
    ],
)
def test_the_rules_of_a_file_of_ones_own(rules: dict[str, Any], params: dict[str, Any], line: str) -> None:
    with pytest.raises(ProfileError) as caught:
        check_request(made(**rules), params, streamed=True, plain=False, output_cap=None)

    assert str(caught.value) == line


def test_a_required_parameter_may_be_a_default_of_the_profile() -> None:
    profile = made(required=["project"], defaults={"project": "p"})

    assert check_request(profile, {}, streamed=True, plain=False, output_cap=None) == []


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        (1, "number", True), (1.5, "number", True), (True, "number", False), (1.0, "integer", False),
        (1, "integer", True), (False, "boolean", True), (0, "boolean", False), ("", "string", True),
        (None, "null", True), ([], "array<string>", True), (["a"], "array<string>", True),
        ("a", "array<string>", False),
        ({"a": 1}, "object<integer>", True), ({"a": True}, "object<integer>", False), ([1], "object<integer>", False),
    ],
)  # fmt: skip
def test_the_types_of_json(value: Any, kind: str, fits: bool) -> None:
    assert is_a(value, kind) is fits


def test_a_place_inside_a_parameter_is_found_everywhere_it_is() -> None:
    body = {"tools": [TOOL, 3, NAMELESS, {"function": {"name": "g"}}], "a": {"b": None}}

    assert list(found_at(body, "tools[].function.name")) == ["f", "g"]
    assert list(found_at(body, "a.b")) == [None]
    assert list(found_at(body, "a[].b")) == []
    assert list(found_at(body, "c")) == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(sorted({p for name in names() for p in (load(name).params.supported or ("n", "seed"))}))


@given(name=st.sampled_from(names()), params=st.dictionaries(KEYS, JSON_VALUES, max_size=3))
def test_any_value_of_any_parameter_is_taken_or_refused_in_one_line(name: str, params: dict[str, Any]) -> None:
    try:
        told = notes(name, params, plain=True, cap=64)
    except ProfileError as error:
        told = [str(error)]
    assert not any("\n" in line for line in told)
