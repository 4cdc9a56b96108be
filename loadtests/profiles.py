"""
A provider as data: a TOML file in, a checked and frozen `Profile` out. Adding a provider takes no code.

Every mistake in a file or in a value from the command line ends in a `ProfileError` of one line that names the place,
the bad value and what is allowed. A file with a key in it is refused: keys come from the environment alone.
"""

import datetime as dt
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from loadtests.redact import looks_secret, secret_places
from loadtests.units import not_one_of
from loadtests.values import Bound, HeaderName, HeaderValue, Pointer, Price, Seconds, Text, Texts, full
from loadtests.values import base_url as check_base_url
from loadtests.values import proxy as check_proxy
from loadtests.wording import listed, mistake, shown, syntax_line


class ProfileError(ValueError):
    """A profile, or a value for one, that cannot be used; its text is the one line to show."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Auth(_Table):
    """Where the key goes, and the environment variable it comes from; an empty scheme sends the key alone."""

    header: HeaderName = "Authorization"
    scheme: Annotated[str, full(r"[!-~]*", "one word, or empty")] = "Bearer"
    env: Annotated[str, full(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")] | None = None
    required: bool = False


class Accept(_Table):
    """The Accept header of streamed and of plain requests; None: the client's own."""

    stream: HeaderValue | None = None
    plain: HeaderValue | None = None


class Params(_Table):
    """What is known of the body's parameters. `supported` None: nothing is known, so anything may be sent."""

    defaults: dict[Text, Any] = {}
    supported: Texts | None = None
    ignored: Texts = ()
    forbidden: Texts = ()
    ranges: dict[Text, Annotated[tuple[Bound, Bound], Field(strict=False)]] = {}
    choices: dict[Text, Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]] = {}


class Tools(_Table):
    """Whether tools may be sent, and whether they need a streamed request."""

    supported: bool = True
    requires_stream: bool = False


class Timeouts(_Table):
    """Seconds: to connect, to the first byte of the answer, between two tokens, for the whole request."""

    connect: Seconds = 10.0
    first_byte: Seconds = 120.0
    silence: Seconds = 60.0
    total: Seconds = 600.0


class Prices(_Table):
    """List prices per million tokens, and the day they were read."""

    input_per_million: Price
    output_per_million: Price
    cached_input_per_million: Price | None = None
    currency: Annotated[str, full(r"[A-Z]{3}", "a currency code of three capitals")] = "USD"
    date: dt.date


class Profile(_Table):
    """One provider. `usage_paths` and `server_time_path` are JSON pointers into the answer (RFC 6901)."""

    name: Annotated[str, full(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a name of letters, digits and . _ -")]
    title: Text
    base_url: Annotated[str, AfterValidator(check_base_url)] = ""
    path: Annotated[str, full(r"[^\s/#][^\s#]*", "a path without a leading slash")] = "chat/completions"
    embedded: bool = False
    http_version: Literal["1.1", "2"] = "1.1"
    proxy: Annotated[str, AfterValidator(check_proxy)] | None = None
    default_model: Text | None = None
    output_cap_param: Literal["max_tokens", "max_completion_tokens", "none"] = "max_tokens"
    stream_usage: Literal["always", "option", "never", "unknown"] = "unknown"
    done_required: bool = False
    finish_required: bool = True
    strict_model: bool = False
    auth: Auth = Auth()
    headers: dict[HeaderName, HeaderValue] = {}
    accept: Accept = Accept()
    params: Params = Params()
    tools: Tools = Tools()
    timeouts: Timeouts = Timeouts()
    usage_paths: Annotated[tuple[Pointer, ...], Field(strict=False)] = ()
    server_time_path: Pointer | None = None
    request_id_headers: Annotated[tuple[HeaderName, ...], Field(strict=False)] = ("x-request-id",)
    prices: Prices | None = None
    limits: Texts = ()
    verified: Literal["seed", "doc", "live", "unverified"] = "unverified"
    notes: Texts = ()

    @property
    def url(self) -> str:
        """Where requests go: base_url and path. An embedded provider gets its base_url when it is started."""
        assert self.base_url, f"profile {self.name} is embedded and has no base_url yet"
        return f"{self.base_url}/{self.path}"

    def api_key(self, environ: Mapping[str, str]) -> str | None:
        """
        The key from the environment, without surrounding white space; None where there is none and none is needed.

        Raises:
            ProfileError: It is required and missing, or no header could carry it. The key itself is never shown.
        """
        env = self.auth.env
        if env is None:
            return None
        key = environ.get(env, "").strip()
        if not key and self.auth.required:
            fix = f"set it with: export {env}=<your key>"
            raise ProfileError(f"profile {self.name}: the environment variable {env} is not set; {fix}")
        if not re.fullmatch(r"[!-~]*", key):
            allowed = "visible ASCII without spaces, as a header carries it"
            raise ProfileError(f"profile {self.name}: the value of the environment variable {env} isn't {allowed}")
        return key or None

    def with_overrides(
        self, *, base_url: str | None = None, proxy: str | None = None, http2: bool = False,
        timeouts: Mapping[str, float] | None = None,
    ) -> "Profile":  # fmt: skip
        """
        The same provider elsewhere (--base-url, --proxy, --http2), or with other timeouts in seconds by their names.

        Raises:
            ProfileError: A value the file could not have had either.
        """
        raw = self.model_dump()
        raw["timeouts"] |= timeouts or {}
        for key, value, check in (("base_url", base_url, check_base_url), ("proxy", proxy, check_proxy)):
            if value is not None:
                try:
                    raw[key] = check(value if value and not looks_secret(value) else "?")
                except ValueError as error:
                    raise ProfileError(f"--{key.replace('_', '-')} {shown(value)} isn't {error}") from None
        raw["http_version"] = "2" if http2 else self.http_version
        return _checked(raw, f"profile {self.name}")


# Finding and reading.


def builtin_dir() -> Path:
    """The folder of the built-in profiles: inside the package when installed from a wheel, else the checkout's."""
    here = Path(__file__).resolve().parent
    installed = here / "builtin_profiles"
    return installed if installed.is_dir() else here.parent / "profiles"


def names() -> list[str]:
    """The built-in profiles, sorted."""
    return sorted(path.stem for path in builtin_dir().glob("*.toml"))


def load(name_or_path: str) -> Profile:
    """
    A built-in profile by its name, or any by the path of its .toml file.

    Raises:
        ProfileError: There is none, or the file is not a sound profile.
    """
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        return _read(Path(name_or_path), name_or_path)
    known = names()
    if name_or_path not in known:
        raise ProfileError(f"--profile {shown(name_or_path)} {not_one_of(name_or_path, known)} (or give a .toml file)")
    return _read(builtin_dir() / f"{name_or_path}.toml", f"profiles/{name_or_path}.toml")


def check_params(profile: Profile, params: Mapping[str, Any]) -> list[str]:
    """
    Whether these parameters of the request body make sense for the provider.

    Returns:
        One line for each that the provider ignores or does not document; empty where all is well.

    Raises:
        ProfileError: One is forbidden, out of its range, or not among its choices.
    """
    known, warnings = profile.params, []
    for key, value in params.items():
        _refuse_param(profile, f"--param {key}={shown(value)}", key, value)
        if key in known.ignored:
            warnings.append(f"--param {key}: {profile.name} accepts it and ignores it")
        elif known.supported is not None and key not in known.supported:
            warnings.append(f"--param {key}: {profile.name} doesn't document it; documented: {listed(known.supported)}")
    return warnings


def _refuse_param(profile: Profile, place: str, key: str, value: Any) -> None:
    known = profile.params
    if key in known.forbidden:
        raise ProfileError(f"{place} is refused by {profile.name}: leave it out")
    if key in known.ranges:
        low, high = known.ranges[key]
        number = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        if not number:
            raise ProfileError(f"{place} isn't a number in [{low:g}, {high:g}], the range of {profile.name}")
    # The type counts too: in Python 1 == True.
    if key in known.choices and not any(type(value) is type(c) and value == c for c in known.choices[key]):
        raise ProfileError(f"{place} isn't one of {listed(known.choices[key])}, the choices of {profile.name}")


def _read(path: Path, label: str) -> Profile:
    try:
        text = path.read_bytes().decode()
        raw = tomllib.loads(text)
    except OSError as error:
        raise ProfileError(f"{label}: cannot be read ({error.strerror}); built in are {listed(names())}") from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"{label}: isn't UTF-8 (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(syntax_line(label, str(error), text)) from None
    for place in secret_places(raw):
        raise ProfileError(f"{label}: {place} looks like a secret; keep keys in the variable that auth.env names")
    return _checked(raw, label)


def _checked(raw: dict[str, Any], label: str) -> Profile:
    try:
        profile = Profile.model_validate(raw)
    except ValidationError as error:
        # An unknown key first: misspelt, it makes its right name missing as well.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        raise ProfileError(f"{label}: {mistake(first, _keys)}") from None
    for text in _contradictions(profile):
        raise ProfileError(f"{label}: {text}")
    for key, value in profile.params.defaults.items():
        _refuse_param(profile, f"{label}: params.defaults.{key} {shown(value)}", key, value)
    return profile


OWNED: Final = {
    "model": "--model",
    "stream": "--stream or --stream-share",
    "stream_options": "the profile's stream_usage",
    "messages": "--workload",
    "max_tokens": "--output-tokens",
    "max_completion_tokens": "--output-tokens",
}
"""Request parameters that have a place of their own: a second source would contradict the record."""


def _contradictions(profile: Profile) -> Iterator[str]:
    """What no single value shows."""
    for key in profile.params.defaults:
        if key in OWNED:
            yield f"params.defaults.{key} isn't allowed; it comes from {OWNED[key]}"
    if not profile.base_url and not profile.embedded:
        yield "base_url is missing; only an embedded provider has none"
    if profile.http_version == "2" and profile.embedded:
        yield "http_version 2 (--http2) isn't spoken by the embedded provider; leave it out"
    forwarded = profile.base_url.startswith("http:") and (profile.proxy or "").startswith("http")
    if profile.http_version == "2" and forwarded:
        yield f"http_version 2 (--http2) doesn't reach an http:// URL through {profile.proxy}; use https, or 1.1"
    if profile.auth.required and profile.auth.env is None:
        yield "auth.env is missing; auth.required needs the name of an environment variable"
    for name in profile.headers:
        if name.lower() == profile.auth.header.lower():
            yield f"headers.{name} isn't allowed; this header is made from auth.scheme and the key"
    for key, (low, high) in profile.params.ranges.items():
        if low > high:
            yield f"params.ranges.{key} [{low:g}, {high:g}] isn't [lowest, highest]"


_TABLES: Final[dict[str, type[_Table]]] = {
    "auth": Auth, "accept": Accept, "params": Params, "tools": Tools, "timeouts": Timeouts, "prices": Prices,
}  # fmt: skip


def _keys(table: str | None) -> Iterable[str]:
    """The allowed keys of a table of the file; None: of the file itself."""
    return (Profile if table is None else _TABLES[table]).model_fields
