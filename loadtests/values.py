"""The kinds of value that a profile's TOML may hold. A check's message completes "<place> <value> isn't ..."."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from loadtests.proxies import PORTS, VARIABLES


def full(pattern: str, allowed: str) -> AfterValidator:
    """A text that matches a pattern whole."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(allowed)
        return value

    return AfterValidator(check)


def base_url(value: str) -> str:
    """The URL without a trailing slash; empty stays empty."""
    allowed = "an http or https URL with a host, without user, query and fragment"
    try:
        parts = urlsplit(value)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # of the host's brackets or the port's number
        sound = False
    if value and (not sound or not re.fullmatch(r"[!-~]+", value) or re.search(r"[?#@]", value)):
        raise ValueError(allowed)
    return value.rstrip("/")


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


Text: TypeAlias = Annotated[str, full(r"(?s).*\S.*", "a text that is not empty")]
HeaderName: TypeAlias = Annotated[str, full(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "the name of an HTTP header")]
HeaderValue: TypeAlias = Annotated[str, full(r"[!-~]([ -~]*[!-~])?", "visible ASCII, as a header carries it")]
Pointer: TypeAlias = Annotated[str, full(r"(/[^\s/]+)+", 'a JSON pointer like "/usage"')]
Seconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Price: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Bound: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]
# TOML has arrays only; what is read from one is kept as a tuple.
Texts: TypeAlias = Annotated[tuple[Text, ...], Field(strict=False)]
