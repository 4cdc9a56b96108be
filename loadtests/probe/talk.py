"""A probe's conversation: one client for all requests, plain httpx, raw bytes on to `Hearing`. Opens connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import httpx

from loadtests import clock, proxies
from loadtests.errors import Failure, of_exception
from loadtests.probe.seen import Hearing
from loadtests.wire.tls import trusting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.probe.ask import Ask
    from loadtests.probe.seen import Seen
    from loadtests.profiles import Profile


class Talk:
    """
    Sends requests one after another, without redirects, retries, cookies or anything else of the environment's.

    Args:
        profile: Its proxy, HTTP version and timeouts are used.
        model: What is asked for.
        secrets: Never to be shown.
    """

    def __init__(self, profile: Profile, model: str, secrets: Sequence[str]) -> None:
        self._profile, self._model, self._secrets = profile, model, secrets
        waits = profile.timeouts
        self._timeout = httpx.Timeout(max(waits.first_byte, waits.silence), connect=waits.connect)
        self._total_ns, self._silence_ns = int(waits.total * 1e9), int(max(waits.silence, waits.first_byte) * 1e9)
        self._client = httpx.Client(
            verify=trusting(), trust_env=False, follow_redirects=False, timeout=self._timeout,
            http1=profile.http_version != "2", http2=profile.http_version == "2", proxy=_proxy(profile),
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, ask: Ask) -> Seen:
        """One request and all that comes back; what goes wrong on the way is told in it."""
        # What is asked for on purpose in vain must not count as answered by another model.
        model = ask.mistake.model if ask.mistake is not None and ask.mistake.model else self._model
        hearing = Hearing(self._profile, ask, model, self._secrets)
        request = httpx.Request(
            ask.method, ask.url, headers=list(ask.headers), content=ask.body or None,
            extensions={"timeout": self._timeout.as_dict()},
        )  # fmt: skip
        sent_ns = clock.monotonic_ns()
        address = None
        try:
            response = self._client.send(request, stream=True)
            try:
                address = _address(response)
                self._listen(response, hearing, sent_ns)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            hearing.fail(failure_of(error, answered=hearing.status is not None))
        return hearing.seen(clock.monotonic_ns() - sent_ns, address)

    def _listen(self, response: httpx.Response, hearing: Hearing, sent_ns: int) -> None:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw]
        version = response.http_version.removeprefix("HTTP/")
        payload_ns = clock.monotonic_ns() - sent_ns
        hearing.head(response.status_code, version, headers, payload_ns)
        for data in response.iter_raw():
            at_ns = clock.monotonic_ns() - sent_ns
            payload_ns = at_ns if hearing.feed(data, at_ns) else payload_ns
            if at_ns > self._total_ns:
                hearing.fail(Failure("timeout_total", f"not complete within {self._total_ns / 1e9:g} s"))
            if at_ns - payload_ns > self._silence_ns:
                hearing.fail(Failure("timeout_silence", f"no payload for {self._silence_ns / 1e9:g} s"))
            if hearing.stopped:
                break


def _address(response: httpx.Response) -> str | None:
    """This side's address of the connection, while it is open."""
    stream: Any = response.extensions.get("network_stream")
    found = stream.get_extra_info("client_addr") if stream is not None else None
    return str(found) if found is not None else None


def _proxy(profile: Profile) -> httpx.Proxy | None:
    """The profile's proxy, with user and password from the environment."""
    if profile.proxy is None:
        return None
    known = proxies.credentials(profile.proxy, httpx.URL(profile.url).scheme)
    auth = None if known is None else (known[0].decode(), known[1].decode())
    return httpx.Proxy(profile.proxy, auth=auth)


def failure_of(error: Exception, *, answered: bool) -> Failure:
    """The failure that an exception of httpx stands for."""
    root: BaseException = error
    while (cause := root.__cause__ or root.__context__) is not None:
        root = cause
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return Failure("timeout_connect", "no connection in time")
    if isinstance(error, httpx.TimeoutException):
        return Failure("timeout_silence" if answered else "timeout_first_byte", "nothing came in time")
    if isinstance(error, httpx.ProxyError):
        return Failure("connect", f"the proxy refused: {error}")
    if isinstance(root, OSError):
        return of_exception(root, connecting=isinstance(error, httpx.ConnectError))
    if isinstance(error, httpx.RemoteProtocolError) and ("disconnected" in str(error) or "peer closed" in str(error)):
        return Failure("truncated" if answered else "reset", "the connection was closed before the answer was complete")
    return Failure("protocol", str(error) or type(error).__name__)
