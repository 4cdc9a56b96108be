"""What no single value of a profile shows: what its parts say against each other, and what a user should know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadtests.profiles import urls
from loadtests.profiles.request import OWNED, refusal
from loadtests.profiles.tables import Table
from loadtests.profiles.wording import shown
from loadtests.redact import looks_secret
from loadtests.units import not_one_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadtests.profiles.model import Profile


def contradictions(profile: Profile) -> Iterator[str]:
    """Each mistake as one line that begins with its place."""
    yield from _of_params(profile)
    yield from _of_address(profile)
    if profile.auth.required and profile.auth.env is None:
        yield "auth.env is missing; auth.required needs the name of an environment variable"
    for name in profile.headers:
        if name.lower() == profile.auth.header.lower():
            yield f"headers.{name} isn't allowed; this header is made from auth.scheme and the key"
    for i, key in enumerate(profile.unverified):
        if (wrong := _nowhere(profile, key)) is not None:
            yield f"unverified[{i}] {shown(key)} names nothing of this profile: {wrong}"


def _of_params(profile: Profile) -> Iterator[str]:
    known = profile.params
    for key in known.defaults:
        if key in OWNED:
            yield f"params.defaults.{key} isn't allowed; it comes from {OWNED[key]}"
    for key, (low, high) in known.ranges.items():
        if low > high:
            yield f"params.ranges.{key} [{low:g}, {high:g}] isn't [lowest, highest]"
    for key in known.clamped:
        if key not in known.ranges:
            yield f"params.clamped {shown(key)} has no range; give params.ranges.{key}"
    for key in set(known.ignored) & set(known.forbidden):
        yield f"params.ignored {shown(key)} is also in params.forbidden; a provider does one of the two"
    if known.supported is None:
        if known.others in {"ignored", "refused"}:
            yield f'params.others "{known.others}" needs params.supported; without it that would be every parameter'
        return
    listed = (*known.supported, *known.ignored, *known.forbidden)
    for table in ("types", "ranges", "choices"):
        for place in getattr(known, table):
            root = place.partition(".")[0].removesuffix("[]")
            if root not in listed:
                yield f"params.{table}.{place} {not_one_of(root, listed)}"


def _of_address(profile: Profile) -> Iterator[str]:
    if not profile.base_url and not profile.embedded:
        yield "base_url is missing; only an embedded provider has none"
    if profile.http_version == "2" and profile.embedded:
        yield "http_version 2 (--http2) isn't spoken by the embedded provider; leave it out"
    forwarded = profile.base_url.startswith("http:") and (profile.proxy or "").startswith("http")
    if profile.http_version == "2" and forwarded:
        yield f"http_version 2 (--http2) doesn't reach an http:// URL through {profile.proxy}; use https, or 1.1"
    path = profile.path.partition("?")[0]
    if profile.base_url.partition("?")[0].endswith(f"/{path}"):
        yield f"base_url ends in /{path}, which is added to it; leave that out"
    for name, value in profile.query.items():
        if looks_secret(f"?{name}={value}"):
            yield f"query.{name} looks like a secret; keep keys in the variable that auth.env names"
    for key, text in profile.fillable().items():
        for name in urls.placeholders([text]):
            if name not in profile.variables:
                yield f"{key} has {{{name}}}, which no [variables.{name}] describes"


def defaults(profile: Profile) -> Iterator[str]:
    """The default parameters that the provider itself would refuse."""
    for key, value in profile.params.defaults.items():
        if found := refusal(profile, key, value):
            yield f"params.defaults.{key} {shown(value)} {found[1]}"


def _nowhere(value: Any, key: str) -> str | None:
    """Why a dotted key leads nowhere in nested tables; None where it leads to something."""
    if not key:
        return None
    head, _, rest = key.partition(".")
    if isinstance(value, Table):
        fields = type(value).model_fields
        return _nowhere(getattr(value, head), rest) if head in fields else f"{head} {not_one_of(head, sorted(fields))}"
    if isinstance(value, dict):
        inside = [name for name in value if key == name or key.startswith(f"{name}.")]
        if inside:
            return _nowhere(value[inside[0]], key[len(inside[0]) :].lstrip("."))
        return f"{key} {not_one_of(key, value)}"
    if isinstance(value, tuple):
        return None if key in value else f"{key} {not_one_of(key, map(str, value))}"
    return f"there is nothing inside for {key}"


def warnings(profile: Profile, environ: Mapping[str, str]) -> list[str]:
    """What is no mistake in a profile, but worth knowing before a run; never a key's value."""
    return [*_of_use(profile, environ), *_of_knowledge(profile)]


def _of_use(profile: Profile, environ: Mapping[str, str]) -> Iterator[str]:
    env = profile.auth.env
    if profile.default_model is None:
        yield "no default_model: every run needs --model"
    if env is not None and profile.auth.required and not environ.get(env, "").strip():
        yield f"{env} is not set in this shell; a run needs it: export {env}=<your key>"
    if env is None and not profile.embedded:
        yield "no auth.env: no key is ever sent"
    used = profile.placeholders
    for name, variable in profile.variables.items():
        if name not in used:
            yield f"variables.{name} stands in no URL; {{{name}}} would put it there"
        elif variable.default is None and not environ.get(variable.env or "", "").strip():
            yield f"{{{name}}} has no default: a run needs --var {name}=VALUE" + (
                f" or {variable.env} in the environment" if variable.env else ""
            )


def _of_knowledge(profile: Profile) -> Iterator[str]:
    if profile.output_cap_param == "none":
        yield f"no output cap: a budget reserves {profile.worst_case_output_tokens} tokens for each request"
    if profile.stream_usage in {"never", "unknown"} and not profile.usage_paths:
        yield f"stream_usage {profile.stream_usage}: tokens of streamed answers may have to be estimated"
    if profile.verified == "unverified":
        yield 'verified = "unverified": nobody has held this profile against the provider or its pages'
    if profile.unverified:
        yield f"{len(profile.unverified)} unverified: {', '.join(profile.unverified)}"
