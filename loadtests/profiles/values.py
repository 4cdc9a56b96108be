"""The kinds of value that a profile's TOML may hold. A check's message completes "<place> <value> isn't ..."."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from loadtests.proxies import PORTS, VARIABLES

PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
"""A place in a URL that a variable fills: `{NAME}`."""

KINDS: Final = ("string", "number", "integer", "boolean", "array", "object", "null")
"""The types of JSON, a whole number told apart; `array<string>` and `object<integer>` say what is inside."""


def full(pattern: str, allowed: str) -> AfterValidator:
    """A text that matches a pattern whole."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(allowed)
        return value

    return AfterValidator(check)


def base_url(value: str) -> str:
    """The URL without a trailing slash before its query; empty stays empty."""
    allowed = "an http or https URL with a host, without user and fragment"
    head, mark, query = value.partition("?")
    try:
        parts = urlsplit(PLACEHOLDER.sub("1", head))
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # of the host's brackets or the port's number
        sound = False
    if value and (not sound or not re.fullmatch(r"[!-~]+", value) or re.search(r"[#@]", head) or "#" in query):
        raise ValueError(allowed)
    return head.rstrip("/") + mark + query


def proxy(value: str) -> str:
    """The address of a proxy without a trailing slash."""
    allowed = f"an http, https or socks5 URL with a host alone; {VARIABLES} may hold user and password"
    try:
        parts = urlsplit(value)
        sound = parts.scheme in PORTS and parts.hostname and parts.port != 0 and parts.path in {"", "/"}
    except ValueError:  # of the host's brackets or the port's number
        sound = False
    if not sound or not re.fullmatch(r"[!-~]+", value) or re.search(r"[?#@]", value):
        raise ValueError(allowed)
    return value.rstrip("/")


def _kinds(value: Any) -> tuple[str, ...]:
    """One type or several, always as a tuple."""
    kinds = (value,) if isinstance(value, str) else value
    one = rf"({'|'.join(KINDS)})|(array|object)<({'|'.join(KINDS)})>"
    sound = isinstance(kinds, list | tuple) and all(isinstance(k, str) and re.fullmatch(one, k) for k in kinds)
    if not sound or not kinds:
        raise ValueError(f"a type of [{', '.join(KINDS)}], like array<string>, or an array of these")
    return tuple(kinds)


def _status(value: int) -> int:
    if not 400 <= value <= 599:
        raise ValueError("an HTTP status from 400 to 599")
    return value


def _or_none(value: Any) -> Any:
    """TOML has no null: an empty text says that there is none."""
    return None if value == "" else value


_PATH: Final = full(r"[^\s/#][^\s#]*", "a path without a leading slash")

Name: TypeAlias = Annotated[str, full(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a name of letters, digits and . _ -")]
Text: TypeAlias = Annotated[str, full(r"(?s).*\S.*", "a text that is not empty")]
Variable: TypeAlias = Annotated[str, full(r"[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and _")]
Environment: TypeAlias = Annotated[str, full(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")]
Path: TypeAlias = Annotated[str, _PATH]
PathOrNone: TypeAlias = Annotated[Annotated[str, _PATH] | None, BeforeValidator(_or_none)]
HeaderName: TypeAlias = Annotated[str, full(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "the name of an HTTP header")]
HeaderValue: TypeAlias = Annotated[str, full(r"[!-~]([ -~]*[!-~])?", "visible ASCII, as a header carries it")]
Pointer: TypeAlias = Annotated[str, full(r"(/[^\s/]+)+", 'a JSON pointer like "/usage"')]
Seconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Price: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count: TypeAlias = Annotated[int, Field(gt=0)]
Bound: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
Status: TypeAlias = Annotated[int, AfterValidator(_status)]
Kinds: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_kinds)]
Param: TypeAlias = Annotated[
    str, full(r"[^\s.\[\]]+(\[\])?(\.[^\s.\[\]]+(\[\])?)*", "a parameter's name, or a place in it like tools[].type")
]
# TOML has arrays only; what is read from one is kept as a tuple.
Texts: TypeAlias = Annotated[tuple[Text, ...], Field(strict=False)]
Params: TypeAlias = Annotated[tuple[Param, ...], Field(strict=False)]
