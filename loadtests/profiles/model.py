"""One provider, checked and frozen: what its file says, where requests go, and the key from the environment."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError

from loadtests import proxies
from loadtests.profiles import checks, urls
from loadtests.profiles.tables import (
    Accept,
    Auth,
    ErrorDoc,
    ParamRules,
    Prices,
    RateLimit,
    Session,
    Table,
    Timeouts,
    Tools,
    VariableDoc,
)  # fmt: skip
from loadtests.profiles.values import (
    Count,
    HeaderName,
    HeaderValue,
    Name,
    Path,
    PathOrNone,
    Pointer,
    Text,
    Texts,
    Variable,
)  # fmt: skip
from loadtests.profiles.values import base_url as check_base_url
from loadtests.profiles.values import proxy as check_proxy
from loadtests.profiles.wording import ProfileError, mistake, shown
from loadtests.redact import looks_secret


class Profile(Table):
    """
    One provider. `usage_paths` and `server_time_paths` are JSON pointers into the answer (RFC 6901).

    `keep_alive` false: connections do not outlive an answer, whatever the headers promise, so none is used twice.
    `bursts`: a whole stream may come in one piece by its nature, so that no proxy is to blame for it.
    `worst_case_output_tokens` is what a budget reserves for a request without an effective cap. `unverified` holds the
    dotted keys of this profile whose claims nobody has seen confirmed.
    """

    name: Name
    title: Text
    base_url: Annotated[str, AfterValidator(check_base_url)] = ""
    path: Path = "chat/completions"
    models_path: PathOrNone = "models"
    query: dict[Text, Text] = Field(default={})
    variables: dict[Variable, VariableDoc] = Field(default={})
    embedded: bool = False
    http_version: Literal["1.1", "2"] = "1.1"
    keep_alive: bool = True
    bursts: bool = False
    proxy: Annotated[str, AfterValidator(check_proxy)] | None = None
    default_model: Text | None = None
    output_cap_param: Literal["max_tokens", "max_completion_tokens", "none"] = "max_tokens"
    worst_case_output_tokens: Count = 4096
    stream_usage: Literal["always", "option", "never", "unknown"] = "unknown"
    done_required: bool = False
    finish_required: bool = True
    empty_ok: bool = False
    strict_model: bool = False
    auth: Auth = Auth()
    headers: dict[HeaderName, HeaderValue] = Field(default={})
    accept: Accept = Accept()
    params: ParamRules = ParamRules()
    tools: Tools = Tools()
    session: Session | None = None
    timeouts: Timeouts = Timeouts()
    usage_paths: Annotated[tuple[Pointer, ...], Field(strict=False)] = ()
    server_time_paths: Annotated[tuple[Pointer, ...], Field(strict=False)] = ()
    reasoning_fields: Texts = ()
    errors: Annotated[tuple[ErrorDoc, ...], Field(strict=False)] = ()
    rate_limit: RateLimit = RateLimit()
    request_id_headers: Annotated[tuple[HeaderName, ...], Field(strict=False)] = ("x-request-id",)
    prices: Prices | None = None
    limits: Texts = ()
    verified: Literal["seed", "doc", "live", "unverified"] = "unverified"
    unverified: Texts = ()
    notes: Texts = ()

    # Where requests go.

    @property
    def url(self) -> str:
        """Where requests go: base_url, path and query. An embedded provider gets its base_url when it is started."""
        assert self.base_url, f"profile {self.name} is embedded and has no base_url yet"
        return urls.joined(self.base_url, self.path, self.query)

    @property
    def models_url(self) -> str | None:
        """Where the provider lists its models; None where it does not, or has no base_url yet."""
        if not self.base_url or self.models_path is None:
            return None
        return urls.joined(self.base_url, self.models_path, self.query)

    def fillable(self) -> dict[str, str]:
        """The texts that may hold `{NAME}`, by their keys."""
        texts = {key: getattr(self, key) for key in urls.FILLABLE} | {f"query.{k}": v for k, v in self.query.items()}
        return {key: text for key, text in texts.items() if text}

    @property
    def placeholders(self) -> list[str]:
        """The variables that are still to be filled in."""
        return urls.placeholders(self.fillable().values())

    def filled(self, given: Mapping[str, str], environ: Mapping[str, str]) -> "Profile":
        """
        The same provider with every `{NAME}` filled: as given (--var), else from the environment, else by default.

        Raises:
            ProfileError: A name that is unknown, a value that cannot stand in a URL, or none.
        """
        label = f"profile {self.name}"
        values = urls.values_of(self.variables, self.placeholders, given, environ, label)
        if not values:
            return self
        raw = self.model_dump()
        raw |= {key: urls.fill(raw[key], values) for key in urls.FILLABLE if raw[key]}
        raw["query"] = {name: urls.fill(value, values) for name, value in self.query.items()}
        return checked(raw, label)

    # Its key.

    def api_key(self, environ: Mapping[str, str]) -> str | None:
        """
        The key from the environment, without surrounding white space; None where there is none and none is needed.

        Raises:
            ProfileError: It is required and missing, no header could carry it, or it does not begin as keys of this
                provider do. The key itself is never shown.
        """
        env = self.auth.env
        if env is None:
            return None
        key, label = environ.get(env, "").strip(), f"profile {self.name}"
        if not key and self.auth.required:
            fix = f"set it with: export {env}=<your key>"
            raise ProfileError(f"{label}: the environment variable {env} is not set; {fix}")
        if not re.fullmatch(r"[!-~]*", key):
            allowed = "visible ASCII without spaces, as a header carries it"
            raise ProfileError(f"{label}: the value of the environment variable {env} isn't {allowed}")
        prefix = self.auth.key_prefix or ""
        if key and not key.startswith(prefix) and "auth.key_prefix" not in self.unverified:
            allowed = f'a key of {self.title}: these begin with "{prefix}"'
            raise ProfileError(f"{label}: the value of the environment variable {env} isn't {allowed}")
        return key or None

    def secrets(self, environ: Mapping[str, str]) -> list[str]:
        """What must never be shown: the key, sound or not, and what opens the proxy; empty where there is neither."""
        key = environ.get(self.auth.env or "", "").strip()
        return [secret for secret in (key, *proxies.secrets(self.proxy)) if secret]

    # The same provider elsewhere.

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
        return checked(raw, f"profile {self.name}")


# Checking.


def checked(raw: dict[str, Any], label: str) -> Profile:
    """
    The profile that a file's tables describe.

    Raises:
        ProfileError: They have a mistake; the first is told.
    """
    profile, found = examined(raw)
    if profile is None or found:
        raise ProfileError(f"{label}: {found[0]}")
    return profile


def examined(raw: dict[str, Any]) -> tuple[Profile | None, list[str]]:
    """The profile, where the tables are sound enough to make one, and every mistake in them, one line each."""
    try:
        profile = Profile.model_validate(raw)
    except ValidationError as error:
        # An unknown key first: misspelt, it makes its right name missing as well.
        ordered = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        return None, [mistake(one, keys_at) for one in ordered]
    return profile, list(dict.fromkeys([*checks.contradictions(profile), *checks.defaults(profile)]))


def keys_at(loc: tuple[int | str, ...]) -> Iterable[str]:
    """The allowed keys of the table in which a place of the file stands."""
    table: type[Table] = Profile
    for part in loc[:-1]:
        field = table.model_fields.get(str(part))
        table = (field and _table_in(field.annotation)) or table
    return table.model_fields


def _table_in(annotation: Any) -> type[Table] | None:
    """The table inside an annotation like `dict[str, Table]` or `Table | None`."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _table_in(inner))), None)
