"""Providers as data: what a file may hold, what is refused and how it is said."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.profiles import Profile, ProfileError, builtin_dir, check_params, load, names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Written = Callable[[str], Path]

HEAD = 'name = "x"\ntitle = "X"\nbase_url = "http://127.0.0.1:1/v1"\n'
LOCAL = {"llamacpp", "mock", "vllm"}


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Puts lines below a minimal head into p.toml."""

    def write(lines: str) -> Path:
        path = tmp_path / "p.toml"
        path.write_text(HEAD + lines, encoding="utf-8")
        return path

    return write


def refusal(path: Path | str) -> str:
    """What is said about a file, without its folder."""
    with pytest.raises(ProfileError) as caught:
        load(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return re.sub(r"^\S*/p\.toml", "p.toml", str(caught.value))


# What is built in.


def test_the_built_in_profiles_are_these() -> None:
    assert names() == ["8080", "deutschlandgpt", "llamacpp", "meingpt", "mock", "morpheus", "openai", "vllm"]


@pytest.mark.parametrize("name", names())
def test_a_built_in_profile_is_sound_and_says_what_it_rests_on(name: str) -> None:
    profile = load(name)

    assert profile.name == name
    assert profile.verified != "unverified"
    assert profile.embedded == (name == "mock")
    assert profile.auth.required == (name not in LOCAL)
    assert profile.embedded or profile.url.endswith("/chat/completions")
    text = (builtin_dir() / f"{name}.toml").read_text(encoding="utf-8")
    assert text.startswith("# "), "a profile's comments say why"


@pytest.mark.parametrize(
    ("name", "url", "env", "cap", "usage"),
    [
        ("deutschlandgpt", "https://api.deutschlandgpt.de/v1", "DEUTSCHLANDGPT_API_KEY", "max_tokens", "unknown"),
        ("meingpt", "https://app.meingpt.com/api/openai/v1", "MEINGPT_API_KEY", "none", "unknown"),
        ("8080", "https://api.8080.io/v1", "_8080_API_KEY", "max_completion_tokens", "option"),
        ("morpheus", "https://api.mor.org/api/v1", "MORPHEUS_API_KEY", "max_tokens", "unknown"),
        ("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "max_completion_tokens", "option"),
        ("vllm", "http://127.0.0.1:8000/v1", "VLLM_API_KEY", "max_tokens", "option"),
        ("llamacpp", "http://127.0.0.1:8811/v1", "LLAMACPP_API_KEY", "max_tokens", "option"),
    ],
)
def test_the_facts_of_the_providers(name: str, url: str, env: str, cap: str, usage: str) -> None:
    """Source: the facts file, sections 1 and 2."""
    profile = load(name)

    assert profile.url == f"{url}/chat/completions"
    assert profile.auth.env == env
    assert profile.output_cap_param == cap
    assert profile.stream_usage == usage


def test_only_morpheus_ties_accept_to_stream_and_tools_to_streaming() -> None:
    for name in names():
        profile = load(name)
        bound = name == "morpheus"
        assert (profile.accept.stream == "text/event-stream") == bound
        assert (profile.accept.plain == "application/json") == bound
        assert profile.tools.requires_stream == bound


# What a file may hold.


def test_a_small_file_is_enough(written: Written) -> None:
    profile = load(str(written("")))

    assert profile.url == "http://127.0.0.1:1/v1/chat/completions"
    assert (profile.timeouts.connect, profile.timeouts.first_byte) == (10, 120)
    assert (profile.timeouts.silence, profile.timeouts.total) == (60, 600)
    assert profile.request_id_headers == ("x-request-id",)
    assert profile.finish_required
    assert not profile.done_required
    assert profile.verified == "unverified"


def test_a_full_file_is_read_as_written(written: Written) -> None:
    lines = """
        path = "openai/deployments/d/chat/completions?api-version=2024-10-21"
        usage_paths = ["/x_groq/usage"]
        [auth]
        header = "api-key"
        scheme = ""
        env = "AZURE_KEY"
        [prices]
        input_per_million = 1
        output_per_million = 2.5
        date = 2026-01-31
        [params.ranges]
        temperature = [0, 2]
    """

    profile = load(str(written(lines)))

    assert profile.url == f"http://127.0.0.1:1/v1/{profile.path}"
    assert profile.auth.scheme == ""
    assert profile.usage_paths == ("/x_groq/usage",)
    assert profile.params.ranges == {"temperature": (0, 2)}
    assert profile.prices is not None
    assert profile.prices.date.isoformat() == "2026-01-31"
    assert Profile.model_validate(profile.model_dump()) == profile


def test_a_profile_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load("vllm").strict_model = True


# What is refused.


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        (
            '[auth]\nenviroment = "A"',
            'auth.enviroment isn\'t one of [env, header, required, scheme]; did you mean "env"?',
        ),
        (
            'output_cap_param = "none "',
            'output_cap_param "none " isn\'t one of [max_tokens, max_completion_tokens, none]; did you mean "none"?',
        ),
        (
            'stream_usage = "opt"',
            'stream_usage "opt" isn\'t one of [always, option, never, unknown]; did you mean "option"?',
        ),
        ('[timeouts]\nconnect = "ten"', 'timeouts.connect "ten" isn\'t a number'),
        ("[timeouts]\ntotal = 0", "timeouts.total 0 isn't a number above 0"),
        ("[timeouts]\ntotal = inf", "timeouts.total Infinity isn't a finite number"),
        ('done_required = "yes"', 'done_required "yes" isn\'t true or false'),
        ("auth = 3", "auth 3 isn't a table"),
        ('notes = "text"', 'notes "text" isn\'t an array'),
        ('notes = ["fine", 3]', "notes[1] 3 isn't a text"),
        ('default_model = " "', 'default_model " " isn\'t a text that is not empty'),
        ('path = "/v1/x"', 'path "/v1/x" isn\'t a path without a leading slash'),
        ('[auth]\nenv = "A-B"', 'auth.env "A-B" isn\'t the name of an environment variable'),
        ("[auth]\nrequired = true", "auth.env is missing; auth.required needs the name of an environment variable"),
        ('[headers]\n"X Y" = "1"', 'headers.X Y "X Y" isn\'t the name of an HTTP header'),
        ('[headers]\nX = "a\\r\\nY: b"', 'headers.X "a\\r\\nY: b" isn\'t visible ASCII, as a header carries it'),
        (
            '[auth]\nheader = "X-Auth"\n[headers]\nx-auth = "a"',
            "headers.x-auth isn't allowed; this header is made from auth.scheme and the key",
        ),
        ('usage_paths = ["usage"]', 'usage_paths[0] "usage" isn\'t a JSON pointer like "/usage"'),
        ("[params.ranges]\nn = [2, 1]", "params.ranges.n [2, 1] isn't [lowest, highest]"),
        ("[params.ranges]\nn = [2]", "params.ranges.n[1] is missing"),
        ("[params.ranges]\nn = [2, 3, 4]", "params.ranges.n [2, 3, 4] isn't an array of two numbers"),
        ("[params.choices]\nn = []", "params.choices.n [] isn't an array with something in it"),
        ('[params]\nforbidden = ["n"]\ndefaults = {n = 3}', "params.defaults.n 3 is refused by x: leave it out"),
        (
            "[params]\nranges = {n = [1, 2]}\ndefaults = {n = 3}",
            "params.defaults.n 3 isn't a number in [1, 2], the range of x",
        ),
        (
            "[prices]\ninput_per_million = -1\noutput_per_million = 1\ndate = 2026-01-01",
            "prices.input_per_million -1 isn't a number of at least 0",
        ),
        (
            '[prices]\ninput_per_million = 1\noutput_per_million = 1\ndate = "soon"',
            'prices.date "soon" isn\'t a date like 2026-01-31',
        ),
        ("[prices]\ninput_per_million = 1\ndate = 2026-01-01", "prices.output_per_million is missing"),
        ('verified = "me"', 'verified "me" isn\'t one of [seed, doc, live, unverified]'),
    ],
)
def test_a_mistake_is_one_line_with_file_key_value_and_what_is_allowed(written: Written, lines: str, line: str) -> None:
    assert refusal(written(lines)) == f"p.toml: {line}"


def test_an_unknown_key_at_the_top_lists_all_and_the_nearest(written: Written) -> None:
    line = refusal(written("defaultmodel = 3"))

    assert line.startswith("p.toml: defaultmodel isn't one of [accept, auth, base_url, default_model, ")
    assert line.endswith('; did you mean "default_model"?')


@pytest.mark.parametrize(
    "url",
    ["ftp://h/v1", "h/v1", "http://", "http:///v1", "http://u:p@h/v1", "http://h/v1?a=b", "http://h/#f", "http://h x/",
     "http://h:99999/", "http://h:0/", "http://[::1/", "http://h/\\u00e9"],
)  # fmt: skip
def test_a_base_url_has_scheme_and_host_and_nothing_else(tmp_path: Path, url: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(f'name = "x"\ntitle = "X"\nbase_url = "{url}"\n', encoding="utf-8")

    assert refusal(path).startswith("p.toml: base_url ")


def test_a_base_url_is_needed_unless_the_provider_is_embedded(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('name = "x"\ntitle = "X"\n', encoding="utf-8")

    assert refusal(path) == "p.toml: base_url is missing; only an embedded provider has none"


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize("key", ["name", "title"])
def test_an_empty_name_or_title_is_refused(tmp_path: Path, key: str, empty: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(
        (HEAD).replace(f'{key} = "{"x" if key == "name" else "X"}"', f'{key} = "{empty}"'), encoding="utf-8"
    )

    assert refusal(path).startswith(f'p.toml: {key} "{empty}" isn\'t a')


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ('default_model = "sk-abcdefghijkl"', "default_model"),
        ('[auth]\nenv = "sk_meingpt_abcdefgh"', "auth.env"),
        ('[auth]\nkey = "gsk_abcdefghijkl"', "auth.key"),
        ('[auth]\napi_key = "hunter2"', "auth.api_key"),
        ('[headers]\nX-Api-Key = "abcdefgh"', "headers.X-Api-Key"),
        ('[headers]\nAuthorization = "Bearer abcdefgh"', "headers.Authorization"),
        ('notes = ["fine", "call it with Bearer abcdefgh1"]', "notes[1]"),
        ('[params.defaults]\nuser = {id = "hf_abcdefghijkl"}', "params.defaults.user.id"),
    ],
)
def test_a_profile_with_a_key_in_it_is_refused_and_the_key_is_not_shown(
    written: Written, lines: str, place: str
) -> None:
    line = refusal(written(lines))

    assert line == f"p.toml: {place} looks like a secret; keep keys in the variable that auth.env names"


def test_a_syntax_error_has_its_line(written: Written) -> None:
    """HEAD has three lines."""
    assert refusal(written("\nx = = 1\n")) == "p.toml:5: Invalid value (column 5)"
    assert refusal(written('notes = ["""')).startswith("p.toml:4: Unterminated string")


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_bytes(b'name = "\xff"')

    assert refusal(tmp_path / "p.toml") == "p.toml: isn't UTF-8 (byte 8)"
    assert refusal("no/where.toml").startswith("no/where.toml: cannot be read (No such file or directory); built in")
    assert "cannot be read (Is a directory)" in refusal(f"{tmp_path}/")


def test_an_unknown_name_gets_the_list_and_the_nearest() -> None:
    line = refusal("vlm")

    assert line.startswith('--profile "vlm" isn\'t one of [8080, deutschlandgpt, ')
    assert 'did you mean "vllm"?' in line


TOML_VALUES = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(key=st.sampled_from(sorted(Profile.model_fields)), value=TOML_VALUES)
def test_any_value_at_any_key_is_taken_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    fields = {"name": "x", "title": "X", "base_url": "http://h"} | {key: value}
    path = tmp_path_factory.mktemp("any") / "p.toml"
    path.write_text("".join(f"{name} = {toml(item)}\n" for name, item in fields.items()), encoding="utf-8")

    try:
        load(str(path))
    except ProfileError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either way is fine, both are checked


def toml(value: Any) -> str:
    """A value as TOML, in one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{toml(key)} = {toml(inner)}' for key, inner in value.items())}}}"
    text = '"' + "".join(f"\\U{ord(c):08x}" for c in value) + '"'
    assert tomllib.loads(f"a = {text}") == {"a": value}
    return text


# Keys.


def test_a_key_comes_from_the_variable_alone() -> None:
    profile = load("meingpt")

    assert profile.api_key({"MEINGPT_API_KEY": " secret-1 \n"}) == "secret-1"
    assert load("vllm").api_key({}) is None
    assert load("mock").api_key({"MEINGPT_API_KEY": "secret-1"}) is None


@pytest.mark.parametrize("environ", [{}, {"MEINGPT_API_KEY": ""}, {"MEINGPT_API_KEY": " \n"}])
def test_a_missing_key_says_which_variable_and_how_to_set_it(environ: dict[str, str]) -> None:
    with pytest.raises(ProfileError) as caught:
        load("meingpt").api_key(environ)

    assert str(caught.value) == (
        "profile meingpt: the environment variable MEINGPT_API_KEY is not set; "
        "set it with: export MEINGPT_API_KEY=<your key>"
    )


@pytest.mark.parametrize("key", ["abc def12345", "abc\ndef12345", "schlüssel-12345"])
def test_a_key_that_no_header_carries_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ProfileError, match="MEINGPT_API_KEY isn't visible ASCII") as caught:
        load("meingpt").api_key({"MEINGPT_API_KEY": key})

    assert "12345" not in str(caught.value)


# The same provider elsewhere.


def test_another_base_url_and_other_timeouts_make_another_profile() -> None:
    profile = load("vllm").with_overrides(base_url="http://[::1]:9/v1/", timeouts={"total": 3, "silence": 1.5})

    assert profile.url == "http://[::1]:9/v1/chat/completions"
    assert profile.url.startswith("http://[::1]:9/")
    assert (profile.timeouts.total, profile.timeouts.silence, profile.timeouts.connect) == (3, 1.5, 10)
    assert profile.with_overrides() == profile
    assert load("mock").with_overrides(base_url="http://127.0.0.1:5/v1").url == "http://127.0.0.1:5/v1/chat/completions"


@pytest.mark.parametrize("url", ["", "ftp://h", "http://user:pass@h/", "http://h/?key=abcdefgh"])
def test_a_bad_base_url_names_the_option_and_hides_a_password(url: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load("vllm").with_overrides(base_url=url)

    assert str(caught.value).startswith("--base-url ")
    assert "http or https URL" in str(caught.value)
    assert "pass" not in str(caught.value)
    assert "abcdefgh" not in str(caught.value)


def test_a_bad_timeout_is_one_line() -> None:
    with pytest.raises(ProfileError) as caught:
        load("vllm").with_overrides(timeouts={"totl": 3})

    assert str(caught.value) == (
        'profile vllm: timeouts.totl isn\'t one of [connect, first_byte, silence, total]; did you mean "total"?'
    )


# Parameters from the command line.


def test_an_ignored_or_undocumented_parameter_is_a_warning() -> None:
    assert check_params(load("meingpt"), {"max_tokens": 5, "temperature": 2}) == [
        "--param max_tokens: meingpt accepts it and ignores it"
    ]
    (line,) = check_params(load("deutschlandgpt"), {"top_p": 1})
    assert line.startswith("--param top_p: deutschlandgpt doesn't document it; documented: [model, messages, ")
    assert check_params(load("vllm"), {"anything": {"goes": [1]}}) == []


@pytest.mark.parametrize(
    ("name", "params", "line"),
    [
        ("meingpt", {"temperature": 2.5}, "--param temperature=2.5 isn't a number in [0, 2], the range of meingpt"),
        (
            "meingpt",
            {"temperature": "hot"},
            '--param temperature="hot" isn\'t a number in [0, 2], the range of meingpt',
        ),
        ("meingpt", {"temperature": True}, "--param temperature=true isn't a number in [0, 2], the range of meingpt"),
        (
            "8080",
            {"reasoning_effort": "low"},
            '--param reasoning_effort="low" isn\'t one of [minimal, medium, high], the choices of 8080',
        ),
    ],
)
def test_a_parameter_that_cannot_work_is_refused(name: str, params: dict[str, Any], line: str) -> None:
    with pytest.raises(ProfileError) as caught:
        check_params(load(name), params)

    assert str(caught.value) == line


def test_a_forbidden_parameter_and_a_choice_of_another_type_are_refused(written: Written) -> None:
    profile = load(str(written('[params]\nforbidden = ["n"]\nchoices = {top = [1, 2]}')))

    with pytest.raises(ProfileError, match=r"^--param n=2 is refused by x: leave it out$"):
        check_params(profile, {"n": 2})
    with pytest.raises(ProfileError, match=r"^--param top=true isn't one of \[1, 2\], the choices of x$"):
        check_params(profile, {"top": True})
    assert check_params(profile, {"top": 2}) == []
