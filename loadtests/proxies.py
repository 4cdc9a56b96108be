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

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""The kinds of proxy, and where each listens unless its address says."""

VARIABLES: Final = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"


def from_environment(url: str) -> str | None:
    """The address of the proxy that the environment names for a URL; None where it names none, and for loopback."""
    parts = urlsplit(url)
    if is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc):
        return None
    found = dict(_named())
    named = found.get(parts.scheme) or found.get("all")
    return None if named is None else address(named)


def credentials(proxy: str) -> tuple[bytes, bytes] | None:
    """User and password for the proxy at this address, as the environment has them; None where it has none."""
    for _, named in _named():
        if named.username is not None and _same(urlsplit(proxy), named):
            return unquote(named.username).encode(), unquote(named.password or "").encode()
    return None


def secrets(proxy: str | None) -> list[str]:
    """What must not be shown of the credentials for a proxy, in every form it takes on the wire."""
    known = None if proxy is None else credentials(proxy)
    if known is None:
        return []
    user, password = known
    return [password.decode(), b64encode(b"%b:%b" % known).decode(), f"{user.decode()}:{password.decode()}"]


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


def _named() -> Iterator[tuple[str, SplitResult]]:
    """What the environment names, by the scheme it is for; a bare host is an HTTP proxy."""
    for scheme, value in getproxies().items():
        if scheme in {"http", "https", "all"} and value:
            yield scheme, urlsplit(value if "://" in value else f"http://{value}")


def _same(one: SplitResult, other: SplitResult) -> bool:
    """Whether two URLs are of one proxy."""
    schemes = {one.scheme, other.scheme}
    alike = len(schemes) == 1 or schemes <= {"socks5", "socks5h"}
    default = PORTS.get(one.scheme)
    return alike and one.hostname == other.hostname and (one.port or default) == (other.port or default)
