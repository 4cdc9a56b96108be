"""A provider profile in words for people: where requests go, what is sent, what comes back, what is doubtful."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadtests.profiles import Profile
    from loadtests.profiles.tables import ErrorDoc

Rows: TypeAlias = "list[tuple[str, str]]"
"""Lines of a section: a label, or none, and what is said."""

VERIFIED: Final = {
    "seed": "from the provider's own document",
    "doc": "from public pages and sources",
    "live": "seen on the running provider",
    "unverified": "nobody has verified it",
}

_USAGE: Final = {
    "always": "sent without being asked",
    "option": "asked for with stream_options.include_usage",
    "never": "not sent; tokens are counted or estimated",
    "unknown": "not documented, so it is not asked for; read where it comes, else tokens are counted or estimated",
}
_OTHERS: Final = {
    "ignored": "accepted and ignored",
    "refused": "refused",
    "passed": "passed on",
    "unknown": "not documented; sent with a warning",
}
_RESET: Final = {
    "duration": "durations like 6m0s",
    "seconds": "seconds",
    "iso8601": "moments (ISO 8601)",
    "epoch": "moments (Unix time)",
    "unknown": "of an undocumented form",
}


def sections(profile: Profile, environ: Mapping[str, str]) -> list[tuple[str, Rows]]:
    """
    Everything that a profile says, by section.

    Args:
        profile: The provider.
        environ: Looked into for whether variables are set; no value of it is ever told but a URL's variables.
    """
    found = [
        ("Where requests go", [*_address(profile), *_variables(profile, environ), *_access(profile, environ)]),
        ("What is sent", list(_sent(profile))),
        ("Parameters", list(_params(profile))),
        ("What comes back", list(_answer(profile))),
        ("Errors", list(_errors(profile))),
        ("Limits", list(_limits(profile))),
        ("Unverified", [(key, _claim(profile, key)) for key in profile.unverified]),
        ("Notes", [("", note) for note in profile.notes]),
    ]
    return [(heading, rows) for heading, rows in found if rows]


def _doubt(profile: Profile, key: str) -> str:
    """The mark of a claim that nobody verified."""
    return " (unverified)" if key in profile.unverified else ""


def _address(profile: Profile) -> Iterator[tuple[str, str]]:
    if profile.embedded:
        yield "requests", f"the embedded provider, which a run starts on 127.0.0.1 (POST …/{profile.path})"
    else:
        yield "requests", f"POST {profile.url}{_doubt(profile, 'base_url')}"
    if profile.models_url:
        yield "models", f"GET {profile.models_url}{_doubt(profile, 'models_path')}"
    if profile.http_version == "2":
        yield "protocol", "HTTP/2"
    if profile.bursts:
        yield "streams", "may come in one piece"
    if not profile.keep_alive:
        yield "connection", "a new one for every request: the provider closes them"
    if profile.proxy:
        yield "proxy", profile.proxy


def _variables(profile: Profile, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, variable in profile.variables.items():
        ways = [f"--var {name}=VALUE"]
        if variable.env:
            ways.append(f"{variable.env} ({'set' if environ.get(variable.env, '').strip() else 'not set'} here)")
        if variable.default:
            ways.append(f"{variable.default}{_doubt(profile, f'variables.{name}.default')}")
        yield f"{{{name}}}", f"{variable.meaning}: {', else '.join(ways)}"


def _access(profile: Profile, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    auth = profile.auth
    if auth.env is None:
        yield "key", "none is sent"
    else:
        is_set = "set" if environ.get(auth.env, "").strip() else "not set"
        need = "needed" if auth.required else "only where it is set"
        begins = f"; keys begin with {auth.key_prefix}{_doubt(profile, 'auth.key_prefix')}" if auth.key_prefix else ""
        yield "key", f"{auth.header}: {f'{auth.scheme} <key>'.strip()}, {need}{begins}"
        yield "key from", f"the environment variable {auth.env}, which is {is_set} here"
    for name, value in profile.headers.items():
        yield "header", f"{name}: {value}"
    if profile.accept.stream or profile.accept.plain:
        accept = profile.accept
        yield "Accept", f"{accept.stream or '*/*'} for streams, {accept.plain or '*/*'} for whole answers"
    times = profile.timeouts
    yield (
        "timeouts",
        (
            f"{times.connect:g} s to connect, {times.first_byte:g} s to the first byte,"
            f" {times.silence:g} s between tokens, {times.total:g} s in all"
        ),
    )


def example(profile: Profile, *, stream: bool) -> str:
    """The body of a small request as it would go out, spaced for reading."""
    from loadtests.dialect import body

    messages = [{"role": "user", "content": "Name three rivers."}]
    model = profile.default_model or "MODEL"
    sent = body(profile, model=model, messages=messages, stream=stream, output_cap=64, params={})
    return json.dumps(orjson.loads(sent), ensure_ascii=False)


def _sent(profile: Profile) -> Iterator[tuple[str, str]]:
    yield "streamed", example(profile, stream=True)
    yield "whole", example(profile, stream=False)
    model = profile.default_model
    yield "model", f"{model}{_doubt(profile, 'default_model')}, else --model" if model else "always --model"
    doubt = _doubt(profile, "output_cap_param")
    if profile.output_cap_param == "none":
        worst = profile.worst_case_output_tokens
        yield "output cap", f"none is honoured{doubt}: streams are closed at the cap; a budget reserves {worst} tokens"
    else:
        yield "output cap", f"--output-tokens N goes into {profile.output_cap_param}{doubt}"
    yield "tools", _tools(profile)
    if profile.session:
        param = f"{profile.session.param}: " if profile.session.param else ""
        cold = f" About {profile.session.cold_start_s:g} s." if profile.session.cold_start_s else ""
        yield "session", f"{param}{profile.session.note}{cold} Requests that may open one are flagged cold_session."


def _tools(profile: Profile) -> str:
    if not profile.tools.supported:
        return "none may be sent"
    streams = "in streamed requests only" if profile.tools.requires_stream else "may be sent"
    return f"{streams}; tool_choice {'too' if profile.tools.choice else 'is not known to be taken'}"


def _params(profile: Profile) -> Iterator[tuple[str, str]]:
    known = profile.params
    places = [*(known.supported or ()), *known.required, *known.types, *known.ranges, *known.choices]
    for root in dict.fromkeys(map(_root, places)):
        for place in sorted({p for p in places if _root(p) == root}):
            yield (place if place == root else f"  {place.removeprefix(root)}"), _param(profile, place)
    for heading, listed in (("refused", known.forbidden), ("ignored", known.ignored)):
        if listed:
            key = "params.forbidden" if heading == "refused" else "params.ignored"
            yield heading, ", ".join(listed) + _doubt(profile, key)
    if known.defaults:
        yield "always sent", ", ".join(f"{key} = {value}" for key, value in known.defaults.items())
    if known.supported is None:
        yield "all others", "nothing is known of them; sent as they are"
    else:
        yield "all others", _OTHERS[known.others] + _doubt(profile, "params.others")


def _root(place: str) -> str:
    return place.partition(".")[0].removesuffix("[]")


def _param(profile: Profile, place: str) -> str:
    """What is known of one parameter, in words."""
    from loadtests.profiles import article, unsure

    known = profile.params
    said = []
    if place in known.choices:
        said.append("one of " + ", ".join(map(str, known.choices[place])))
    if kinds := tuple(kind for kind in known.types.get(place, ()) if not (said and kind == "string")):
        said = [" or ".join([*said, article(kinds)])]
    if place in known.ranges:
        low, high = known.ranges[place]
        said.append(f"{low:g} to {high:g}" + (" (moved in there)" if place in known.clamped else ""))
    if place in known.required:
        said.append("required")
    doubtful = any(unsure(profile, f"params.{table}.{place}", place) for table in ("types", "ranges", "choices"))
    return (", ".join(said) or "documented without a type") + (" (unverified)" if doubtful else "")


def _answer(profile: Profile) -> Iterator[tuple[str, str]]:
    yield "usage", f"in streams: {_USAGE[profile.stream_usage]}{_doubt(profile, 'stream_usage')}"
    if profile.usage_paths:
        yield "else usage", ", ".join(profile.usage_paths) + _doubt(profile, "usage_paths")
    if profile.server_time_paths:
        yield "server time", ", ".join(profile.server_time_paths) + _doubt(profile, "server_time_paths")
    if profile.reasoning_fields:
        yield "reasoning", "in " + ", ".join(profile.reasoning_fields) + _doubt(profile, "reasoning_fields")
    needed = [
        text
        for text, is_needed in (("finish_reason", profile.finish_required), ("[DONE]", profile.done_required))
        if is_needed
    ]
    yield "ending", f"without {' or '.join(needed)} it is a failure" if needed else "anything counts as complete"
    if profile.strict_model:
        yield "model", "an answer by another model is a failure"
    if profile.empty_ok:
        yield "empty", "a complete answer without a token is no failure"
    ids = ", ".join(profile.request_id_headers)
    yield "request id", f"{ids}{_doubt(profile, 'request_id_headers')}" if ids else "none is known"


def _errors(profile: Profile) -> Iterator[tuple[str, str]]:
    shapes = [_shape(doc) for doc in profile.errors]
    if not shapes:
        yield "body", "not documented; OpenAI's form and many others are understood"
        return
    usual = Counter(shapes).most_common(1)[0][0]
    yield "body", usual + (", unless said otherwise" if len(set(shapes)) > 1 else "") + _doubt(profile, "errors")
    for doc, shape in zip(profile.errors, shapes, strict=True):
        yield str(doc.status or "any status"), doc.meaning + ("" if shape == usual else f" — {shape}")


def _shape(doc: ErrorDoc) -> str:
    places = ((part, getattr(doc, part)) for part in ("message", "type", "code", "param"))
    return ", ".join(f"{part} at {at}" for part, at in places if at)


def _limits(profile: Profile) -> Iterator[tuple[str, str]]:
    limits = profile.rate_limit
    for field, header in limits.headers.items():
        yield field.replace("_", " "), header
    if any(field.startswith("reset") for field in limits.headers):
        yield "resets are", _RESET[limits.reset] + _doubt(profile, "rate_limit.reset")
    for text in filter(None, (limits.note, *profile.limits)):
        yield "", text
    if profile.prices:
        prices = profile.prices
        yield (
            "prices",
            (
                f"{prices.input_per_million:g} in, {prices.output_per_million:g} out"
                f" {prices.currency} per million tokens, read on {prices.date}"
                f"{'' if prices.currency == 'USD' else '; no cost is told: costs are in USD only'}"
            ),
        )


def _claim(profile: Profile, key: str) -> str:
    """What the profile says at a dotted key, shortly."""
    value: Any = profile.model_dump(mode="json")
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else part
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "where their parts are, or what they mean"
    text = ", ".join(map(str, value)) if isinstance(value, list | dict) else str(value)
    return text or "none"
