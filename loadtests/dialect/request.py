"""The request: head and JSON body of a chat completion as a provider wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import orjson

from loadtests import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.profiles import Profile
    from loadtests.workload import Request


def body(
    profile: Profile,
    *,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    stream: bool,
    output_cap: int | None,
    params: Mapping[str, Any],
) -> bytes:
    """The JSON body of a chat completion request as this provider wants it; `params` win over the profile's own."""
    value: dict[str, Any] = {"model": model, "messages": list(messages), "stream": stream}
    if output_cap is not None and profile.output_cap_param != "none":
        value[profile.output_cap_param] = output_cap
    if stream and profile.stream_usage == "option":
        value["stream_options"] = {"include_usage": True}
    value.update(profile.params.defaults)
    value.update(params)
    return orjson.dumps(value)


def body_of(profile: Profile, model: str, params: Mapping[str, Any], request: Request) -> bytes:
    """The body of a workload's request; the fields that it brings win over the run's `params`."""
    return body(
        profile,
        model=model,
        messages=request.messages,
        stream=request.stream,
        output_cap=request.output_cap,
        params={**params, **request.extra},
    )


def asked_choices(profile: Profile, params: Mapping[str, Any], extra: Mapping[str, Any]) -> int | None:
    """How many answers a request with these fields asks for; None where its `n` is no such number."""
    n = extra.get("n", params.get("n", profile.params.defaults.get("n", 1)))
    return n if type(n) is int and n > 0 else None


def head(profile: Profile, key: str | None, *, stream: bool, close: bool) -> bytes:
    """The request head up to the value of Content-Length, built once by httpx; `close`: for one request alone."""
    headers = {
        "Accept": (profile.accept.stream if stream else profile.accept.plain) or "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close" if close else "keep-alive",
        "Content-Type": "application/json",
        "User-Agent": f"firsttoken/{__version__}",
        **profile.headers,
    }
    if key:
        headers[profile.auth.header] = f"{profile.auth.scheme} {key}".strip()
    request = httpx.Request("POST", profile.url, headers=headers)
    lines = [b"POST %b HTTP/1.1" % request.url.raw_path]
    lines += [b"%b: %b" % item for item in request.headers.raw if item[0].lower() != b"content-length"]
    return b"\r\n".join([*lines, b"Content-Length: "])
