"""
Proxies: which one the environment names for a URL, and the user and password for it.

A profile, a command line and run.json hold a proxy's address alone. User and password come from the variables that
name proxies everywhere (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY) and go to that proxy and nowhere else.
"""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from loadtests.redact import MASK

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""The kinds of proxy, and where each listens unless its address says."""

VARIABLES: Final = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"


def from_environment(url: str) -> str | None:
    """
    The address of the proxy that the environment names for a URL; None where it names none, and for loopback.

    What is no URL of a proxy comes back as it is but `masked`: as a value, it is refused where all others are.
    """
    parts = urlsplit(url)
    if is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    found = dict(_named())
    named = found.get(parts.scheme) or found.get("all")
    if named is None:
        return None
    split = _split(named)
    return masked(named) if split is None else address(split)


def credentials(proxy: str, scheme: str = "") -> tuple[bytes, bytes] | None:
    """
    User and password for the proxy at this address, as the environment has them; None where it has none.

    Args:
        proxy: The address.
        scheme: Of the URL that is asked for: where several variables name the proxy, its own goes first.
    """
    known = _credentials(proxy)
    for name in (scheme, "all", *known):
        if name in known:
            return known[name]
    return None


def secrets(proxy: str | None) -> list[str]:
    """What must not be shown of the credentials for a proxy, in every form it takes on the wire."""
    found: list[str] = []
    for user, password in _credentials(proxy).values() if proxy is not None else ():
        pair = b"%b:%b" % (user, password)
        found += [password.decode(), b64encode(pair).decode(), pair.decode()]
    return found


def masked(value: str) -> str:
    """A text that should have been a proxy's URL, without anything that may be its user and password."""
    _, at, behind = value.rpartition("@")
    if not at:
        return value
    scheme = value.partition("://")[0].lower()
    return f"{scheme}://{MASK}@{behind}" if scheme in PORTS else f"{MASK}@{behind}"


def host_and_port(proxy: str) -> tuple[str, int]:
    """Where a proxy listens."""
    parts = urlsplit(proxy)
    return parts.hostname or "", parts.port or PORTS[parts.scheme]


def address(parts: SplitResult) -> str:
    """The URL of a proxy without user and password."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _named() -> Iterator[tuple[str, str]]:
    """What the environment names, by the scheme it is for; a bare host is an HTTP proxy."""
    for scheme, value in getproxies().items():
        if scheme in {"http", "https", "all"} and value:
            yield scheme, value if "://" in value else f"http://{value}"


def _split(value: str) -> SplitResult | None:
    """The parts of a proxy's URL; None where it is none, as with a password that has #, / or ? in it unescaped."""
    try:
        parts = urlsplit(value)
        sound = parts.port != 0 and "@" not in parts.path + parts.query + parts.fragment
    except ValueError:  # of the host's brackets or the port's number
        return None
    return parts if sound else None


def _credentials(proxy: str) -> dict[str, tuple[bytes, bytes]]:
    """User and password for a proxy, by the scheme that the variable is for."""
    found = {}
    for scheme, value in _named():
        named = _split(value)
        if named is not None and named.username is not None and _same(urlsplit(proxy), named):
            found[scheme] = unquote(named.username).encode(), unquote(named.password or "").encode()
    return found


def _same(one: SplitResult, other: SplitResult) -> bool:
    """Whether two URLs are of one proxy."""
    schemes = {one.scheme, other.scheme}
    alike = len(schemes) == 1 or schemes <= {"socks5", "socks5h"}
    default = PORTS.get(one.scheme)
    return alike and one.hostname == other.hostname and (one.port or default) == (other.port or default)
