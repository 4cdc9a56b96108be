"""Whom a run speaks to: the profile, pointed elsewhere where asked, through a proxy or not, and whether it is ours."""

from __future__ import annotations

import ipaddress
import os
import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING

import httpx

from loadtests import proxies
from loadtests.errors import of_exception
from loadtests.guard import know
from loadtests.profiles import Profile, ProfileError, load
from loadtests.wire.connection import Origin
from loadtests.wire.tls import TrustError, trusting

if TYPE_CHECKING:
    from collections.abc import Sequence


class TargetError(ValueError):
    """A provider that cannot be spoken to as asked: one line with the fix."""


def profile_of(
    name: str,
    base_url: str | None = None,
    *,
    proxy: str | None = None,
    http2: bool = False,
    variables: Sequence[str] = (),
    allow_insecure_http: bool = False,
) -> Profile:
    """
    The profile, pointed elsewhere where asked, through the proxy that is asked for or that the environment names.

    Args:
        name: Of a shipped profile, or a file.
        base_url: Instead of the profile's.
        proxy: Instead of the profile's and the environment's.
        http2: Speak HTTP/2.
        variables: `NAME=VALUE` for the placeholders of the profile's URL.
        allow_insecure_http: Plain http may leave this machine and its private network.

    Raises:
        ProfileError: A value that cannot be used.
        TargetError: The environment's proxy cannot be used, a package is missing, or the way is not safe.
    """
    profile = load(name)
    know(profile.secrets(os.environ))  # before anything is complained of
    if base_url is not None:
        profile = profile.with_overrides(base_url=base_url).model_copy(update={"embedded": False})
    profile = profile.filled(_pairs(variables), os.environ)
    profile = profile.with_overrides(proxy=proxy, http2=http2)
    if profile.proxy is None and not profile.embedded:
        profile = _through_environment(profile)
    know(profile.secrets(os.environ))
    _require(profile)
    refuse_open_way(profile, allowed=allow_insecure_http)
    return profile


def refuse_open_way(profile: Profile, *, allowed: bool) -> None:
    """
    Refuse plain http that leaves this machine and its private network, but where that is allowed.

    Raises:
        TargetError: It would.
    """
    if not (is_local(profile) or allowed) and httpx.URL(profile.url).scheme == "http":
        raise TargetError(
            f"{profile.base_url} is plain http and leaves this network: key and prompts could be read on the way;"
            " use https, or add --allow-insecure-http if that is intended"
        )


def _pairs(pairs: Sequence[str]) -> dict[str, str]:
    given = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise TargetError(f"--var {pair!r}: write NAME=VALUE, for example --var resource=my-company")
        given[name] = value
    return given


def _through_environment(profile: Profile) -> Profile:
    try:
        return profile.with_overrides(proxy=proxies.from_environment(profile.url))
    except ProfileError as error:
        raise TargetError(f"{proxies.VARIABLES}: {str(error).removeprefix('--proxy ')}") from None


def _require(profile: Profile) -> None:
    """Say now, and not at the first request, that a package is missing."""
    for wanted, option, package, extra in (
        (profile.http_version == "2", "--http2", "h2", "http2"),
        ((profile.proxy or "").startswith("socks"), f"--proxy {profile.proxy}", "socksio", "socks"),
    ):
        if wanted and find_spec(package) is None:
            raise TargetError(f"{option} needs the package {package}: pip install 'httpx[{extra}]'")
    if any(address.startswith("https:") for address in (profile.base_url, profile.proxy or "")):
        try:
            trusting()
        except TrustError as error:
            raise TargetError(str(error)) from None


def is_local(profile: Profile) -> bool:
    """Whether the requests stay on this machine or in a private network."""
    return profile.embedded or is_local_host(httpx.URL(profile.url).host)


def is_local_host(host: str) -> bool:
    """Whether a host is this machine or in a private network, by its name or its address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host  # a name without a domain is this network's: a container, a host next door
    return address.is_loopback or address.is_private


def address_of(profile: Profile) -> tuple[str, int]:
    """Host and port of a profile's URL."""
    url = httpx.URL(profile.url)
    return url.host, url.port or (443 if url.scheme == "https" else 80)


def origin_of(profile: Profile) -> Origin:
    """Host, port and TLS of a profile's URL."""
    tls = trusting() if httpx.URL(profile.url).scheme == "https" else None
    return Origin(*address_of(profile), tls)


def reach(profile: Profile) -> None:
    """
    See whether anything listens where the profile points, or its proxy: one TCP connection, no request.

    Raises:
        TargetError: The name has no address, or nothing listens.
    """
    proxy = profile.proxy
    what, option = (
        (profile.base_url, "--base-url")
        if proxy is None
        else (f"the proxy {proxy}", f"--proxy (or {proxies.VARIABLES})")
    )
    try:
        where = address_of(profile) if proxy is None else proxies.host_and_port(proxy)
        socket.create_connection(where, timeout=profile.timeouts.connect).close()
    except (OSError, UnicodeError) as error:
        failure = of_exception(error, connecting=True)
        raise TargetError(
            f"nothing reached at {what} ({failure.kind}: {failure.text}); is the server up, and is {option} right?"
        ) from None
