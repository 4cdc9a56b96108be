"""Providers as data: what a file may hold, what is refused and how it is said."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from loadtests.profiles import Profile, ProfileError, load, mistakes, warnings
from loadtests.profiles.urls import joined
from loadtests.profiles.values import base_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Written = Callable[[str], Path]

HEAD = 'name = "x"\ntitle = "X"\nbase_url = "http://127.0.0.1:1/v1"\n'


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
    assert len(str(caught.value)) < 700
    return re.sub(r"^\S*/p\.toml", "p.toml", str(caught.value))


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
            'auth.enviroment isn\'t one of [env, header, key_prefix, required, scheme]; did you mean "env"?',
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
        ('query = {key = "abcdef"}', "query.key looks like a secret; keep keys in the variable that auth.env names"),
        ("query = {a = 1}", "query.a 1 isn't a text"),
        ('path = "{d}/x"', "path has {d}, which no [variables.d] describes"),
        (
            '[variables.d]\nmening = "x"',
            'variables.d.mening isn\'t one of [default, env, meaning]; did you mean "meaning"?',
        ),
        (
            '[variables.d]\nmeaning = "x"\nenv = "A-B"',
            'variables.d.env "A-B" isn\'t the name of an environment variable',
        ),
        ('[variables.d-e]\nmeaning = "x"', 'variables.d-e "d-e" isn\'t a name of letters, digits and _'),
        ("worst_case_output_tokens = 0", "worst_case_output_tokens 0 isn't a number above 0"),
        ("worst_case_output_tokens = 1.5", "worst_case_output_tokens 1.5 isn't a whole number"),
        ('empty_ok = "no"', 'empty_ok "no" isn\'t true or false'),
        ('models_path = "/models"', 'models_path "/models" isn\'t a path without a leading slash'),
        ('auth = {key_prefix = "s k"}', 'auth.key_prefix "s k" isn\'t visible ASCII without spaces'),
        ("tools = {choice = 1}", "tools.choice 1 isn't true or false"),
        ("[session]\ncold_start_s = 3", "session.note is missing"),
        ('[session]\ncold_start_s = 0\nnote = "x"', "session.cold_start_s 0 isn't a number above 0"),
        ("reasoning_fields = [1]", "reasoning_fields[0] 1 isn't a text"),
        (
            'errors = [{mesage = "/error", meaning = "x"}]',
            'errors[0].mesage isn\'t one of [code, meaning, message, param, status, type]; did you mean "message"?',
        ),
        (
            'errors = [{status = 200, message = "/error", meaning = "x"}]',
            "errors[0].status 200 isn't an HTTP status from 400 to 599",
        ),
        (
            'errors = [{message = "error", meaning = "x"}]',
            'errors[0].message "error" isn\'t a JSON pointer like "/usage"',
        ),
        (
            'rate_limit = {reset = "se"}',
            'rate_limit.reset "se" isn\'t one of [duration, seconds, iso8601, epoch, unknown]; did you mean "seconds"?',
        ),
        ('rate_limit = {headers = {"X Y" = "x"}}', 'rate_limit.headers.X Y "X Y" isn\'t a name like remaining_tokens'),
        ('rate_limit = {headers = {a = "x y"}}', 'rate_limit.headers.a "x y" isn\'t the name of an HTTP header'),
        (
            'params = {others = "ignore"}',
            'params.others "ignore" isn\'t one of [ignored, refused, passed, unknown]; did you mean "ignored"?',
        ),
        (
            'params = {others = "ignored"}',
            'params.others "ignored" needs params.supported; without it that would be every parameter',
        ),
        (
            'params = {types = {n = "int"}}',
            (
                'params.types.n "int" isn\'t a type of [string, number, integer, boolean, array, object, null], like '
                "array<string>, or an array of these"
            ),
        ),
        (
            'params = {types = {"a..b" = "null"}}',
            "params.types.a..b \"a..b\" isn't a parameter's name, or a place in it like tools[].type",
        ),
        (
            'params = {supported = ["temperature"], ranges = {temprature = [0, 1]}}',
            'params.ranges.temprature isn\'t one of [temperature]; did you mean "temperature"?',
        ),
        (
            'params = {ignored = ["n"], forbidden = ["n"]}',
            'params.ignored "n" is also in params.forbidden; a provider does one of the two',
        ),
        ('params = {clamped = ["n"]}', 'params.clamped "n" has no range; give params.ranges.n'),
        (
            'params = {types = {n = "integer"}, defaults = {n = 1.5}}',
            "params.defaults.n 1.5 isn't a whole number, as x takes it",
        ),
        ('params = {defaults = {model = "m"}}', "params.defaults.model isn't allowed; it comes from --model"),
        (
            'unverified = ["tools.choise"]',
            (
                'unverified[0] "tools.choise" names nothing of this profile: choise isn\'t one of '
                '[choice, requires_stream, supported]; did you mean "choice"?'
            ),
        ),
        (
            'unverified = ["title", "session.param"]',
            'unverified[1] "session.param" names nothing of this profile: there is nothing inside for param',
        ),
        (
            'unverified = ["params.types.m"]\nparams = {types = {n = "integer"}}',
            'unverified[0] "params.types.m" names nothing of this profile: m isn\'t one of [n]',
        ),
        ('verified = "me"', 'verified "me" isn\'t one of [seed, doc, live, unverified]'),
    ],
)
def test_a_mistake_is_one_line_with_file_key_value_and_what_is_allowed(written: Written, lines: str, line: str) -> None:
    assert refusal(written(lines)) == f"p.toml: {line}"


def test_an_unknown_key_at_the_top_lists_all_and_the_nearest(written: Written) -> None:
    line = refusal(written("defaultmodel = 3"))

    assert line.startswith("p.toml: defaultmodel isn't one of [accept, auth, base_url, bursts, default_model, ")
    assert line.endswith('; did you mean "default_model"?')


@pytest.mark.parametrize(
    "url",
    ["ftp://h/v1", "h/v1", "http://", "http:///v1", "http://u:p@h/v1", "http://h/?a=b#f", "http://h/#f", "http://h x/",
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

    assert line.startswith('--profile "vlm" isn\'t one of [8080, anthropic, azure, ')
    assert 'did you mean "vllm"?' in line


TOML_VALUES = st.recursive(
    st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@given(key=st.sampled_from(sorted(Profile.model_fields)), value=TOML_VALUES)
@example(key="accept", value={"\n": False})
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


# Where requests go.


TEN_LINES = """
name = "acme"
title = "Acme"
base_url = "https://api.acme.example/v1"
default_model = "acme-1"

[auth]
env = "ACME_API_KEY"
required = true
"""


def test_a_new_provider_is_a_file_of_ten_lines(tmp_path: Path) -> None:
    assert TEN_LINES.count("\n") <= 10
    (tmp_path / "acme.toml").write_text(TEN_LINES, encoding="utf-8")

    profile = load(str(tmp_path / "acme.toml"))

    assert profile.url == "https://api.acme.example/v1/chat/completions"
    assert profile.models_url == "https://api.acme.example/v1/models"
    assert profile.api_key({"ACME_API_KEY": "secret-1"}) == "secret-1"


@pytest.mark.parametrize(
    ("lines", "url"),
    [
        ('query = {a = "1"}', "http://127.0.0.1:1/v1/chat/completions?a=1"),
        ('query = {a = "1"}\npath = "x?a=2&b=3"', "http://127.0.0.1:1/v1/x?a=2&b=3"),
        ('query = {a = "ä &"}', "http://127.0.0.1:1/v1/chat/completions?a=%C3%A4%20%26"),
    ],
)
def test_a_query_is_part_of_the_url(written: Written, lines: str, url: str) -> None:
    assert load(str(written(lines))).url == url


def test_a_pasted_base_url_keeps_its_query_and_wins(written: Written) -> None:
    """The three sources of a parameter in their order: what the user pastes, the path, the table."""
    profile = load(str(written('query = {v = "1", w = "2"}')))

    moved = profile.with_overrides(base_url="https://h/openai/?v=9&x=a&x=b")

    assert moved.url == "https://h/openai/chat/completions?v=9&x=a&x=b&w=2"
    assert moved.models_url == "https://h/openai/models?v=9&x=a&x=b&w=2"


QUERIES = st.dictionaries(st.text(min_size=1, max_size=4), st.text(min_size=1, max_size=4), max_size=3)


@given(pasted=QUERIES, of_path=QUERIES, table=QUERIES)
def test_any_query_is_read_back_from_the_url(
    pasted: dict[str, str], of_path: dict[str, str], table: dict[str, str]
) -> None:
    url = joined(f"http://h/v1?{urlencode(pasted)}", f"x?{urlencode(of_path)}", table)

    assert url.partition("?")[0] == "http://h/v1/x"
    assert dict(parse_qsl(urlsplit(url).query)) == table | of_path | pasted


@given(st.text(max_size=20) | st.text(max_size=12).map("http://{}".format))
def test_any_text_is_a_base_url_or_is_not(value: str) -> None:
    try:
        found = base_url(value)
    except ValueError as error:
        assert "http or https URL" in str(error)  # noqa: PT017 - either way is fine, both are checked
    else:
        assert base_url(found) == found


def test_no_list_of_models_is_an_empty_path(written: Written) -> None:
    assert load(str(written('models_path = ""'))).models_url is None


def test_a_base_url_with_the_path_in_it_is_told(written: Written) -> None:
    with pytest.raises(ProfileError, match="base_url ends in /chat/completions, which is added to it; leave that out"):
        load(str(written(""))).with_overrides(base_url="https://h/v1/chat/completions?api-version=1")


VARIABLES = """
path = "d/{dep}/chat"
query = {v = "{version}"}
default_model = "{dep}"
[variables.dep]
meaning = "the deployment"
env = "DEP"
[variables.version]
meaning = "the version"
default = "2024-10-21"
"""


@pytest.mark.parametrize(
    ("given", "environ", "url"),
    [
        ({"dep": "a"}, {}, "/d/a/chat?v=2024-10-21"),
        ({}, {"DEP": " b\n"}, "/d/b/chat?v=2024-10-21"),
        ({"dep": "a", "version": "v2"}, {"DEP": "b"}, "/d/a/chat?v=v2"),
    ],
)
def test_variables_come_as_given_else_from_the_environment_else_by_default(
    written: Written, given: dict[str, str], environ: dict[str, str], url: str
) -> None:
    profile = load(str(written(VARIABLES)))
    filled = profile.filled(given, environ)

    assert profile.placeholders == ["dep", "version"]
    assert filled.url == f"http://127.0.0.1:1/v1{url}"
    assert filled.default_model == url.split("/")[2]
    assert filled.placeholders == []
    assert filled.filled({}, {}) == filled


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({}, "{dep} (the deployment) has no value; give --var dep=VALUE, or DEP in the environment"),
        ({"dpe": "a"}, '--var dpe isn\'t one of [dep, version]; did you mean "dep"?'),
        ({"dep": "a b"}, '--var dep "a b" isn\'t made of letters, digits and . _ ~ : -'),
        ({"dep": "evil.example/x"}, '--var dep "evil.example/x" isn\'t made of letters, digits and . _ ~ : -'),
        ({"dep": "sk-abcdefghijkl"}, "--var dep looks like a secret; keep keys in the variable that auth.env names"),
    ],
)
def test_a_variable_that_cannot_be_filled_is_one_line(written: Written, given: dict[str, str], line: str) -> None:
    with pytest.raises(ProfileError) as caught:
        load(str(written(VARIABLES))).filled(given, {})

    assert str(caught.value) == f"profile x: {line}"


def test_a_variable_for_a_profile_without_any_or_no_longer_in_its_url_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"--var a isn't known: the profile has no variables$"):
        load("vllm").filled({"a": "b"}, {})
    azure = load("azure").with_overrides(base_url="https://h/openai")
    with pytest.raises(ProfileError, match=r"--var resource: no \{resource\} is left in the URL; leave it out$"):
        azure.filled({"resource": "r", "deployment": "d"}, {})
    assert azure.filled({"deployment": "d"}, {}).url.startswith("https://h/openai/deployments/d/chat/completions?")


# All mistakes, and what is worth knowing.


def test_every_mistake_of_a_file_is_told(written: Written) -> None:
    path = written('stream_usage = "opt"\nnotes = [3]\n[auth]\nenviroment = "A"\napi_key = "hunter22"')

    profile, found = mistakes(str(path))

    assert profile is None
    assert [line.removeprefix(f"{path}: ").split(" ")[0] for line in found] == [
        "auth.api_key", "auth.enviroment", "auth.api_key", "stream_usage", "notes[0]",
    ]  # fmt: skip
    assert not any("hunter22" in line for line in found)


def test_a_sound_file_has_no_mistakes_and_an_unreadable_one_has_one(written: Written) -> None:
    profile, found = mistakes(str(written("")))

    assert profile is not None
    assert found == []
    assert mistakes("no/where.toml")[0] is None
    assert len(mistakes("no/where.toml")[1]) == 1


def test_warnings_name_what_a_run_will_miss(written: Written) -> None:
    lines = '[auth]\nenv = "X_KEY"\nrequired = true\n[variables.v]\nmeaning = "nothing"'
    profile = load(str(written(f'unverified = ["title"]\noutput_cap_param = "none"\n{lines}')))

    assert warnings(profile, {}) == [
        "no default_model: every run needs --model",
        "X_KEY is not set in this shell; a run needs it: export X_KEY=<your key>",
        "variables.v stands in no URL; {v} would put it there",
        "no output cap: a budget reserves 4096 tokens for each request",
        "stream_usage unknown: tokens of streamed answers may have to be estimated",
        'verified = "unverified": nobody has held this profile against the provider or its pages',
        "1 unverified: title",
    ]
    assert not any("X_KEY" in line for line in warnings(profile, {"X_KEY": "secret-1"}))
    assert warnings(load("mock"), {}) == []


# Keys.


def test_a_key_comes_from_the_variable_alone() -> None:
    profile = load("meingpt")

    assert profile.api_key({"MEINGPT_API_KEY": " secret-1 \n"}) == "secret-1"
    assert load("morpheus").api_key({"MORPHEUS_API_KEY": "sk-secret-1"}) == "sk-secret-1"
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


def test_a_key_of_another_shape_is_refused_where_the_shape_is_sure() -> None:
    """Morpheus answers 401 to it; that keys of meinGPT look like sk_meingpt_ is read off an example alone."""
    with pytest.raises(ProfileError) as caught:
        load("morpheus").api_key({"MORPHEUS_API_KEY": "gsk_secret-1"})

    assert str(caught.value) == (
        "profile morpheus: the value of the environment variable MORPHEUS_API_KEY isn't a key of "
        'Morpheus API Gateway: these begin with "sk-"'
    )


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
