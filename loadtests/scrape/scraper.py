"""
The thread that asks an endpoint each second, and the part that it writes.

Moments lie on a grid of seconds, so that no slow answer makes the next one late. Beside what the server says
each scrape leaves series of its own, named as Prometheus names them: `up` (1, or 0 with the failure as its label),
`scrape_duration_seconds` and, where there were too many, `scrape_series_left_out`. So a gap is told by the rows.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin, urlsplit

import httpx
import pyarrow as pa

from loadtests import __version__, clock, proxies, record
from loadtests.guard import masked
from loadtests.scrape.exposition import ExpositionError, Series, read
from loadtests.sink import DiskFullError, Part
from loadtests.targets import is_local_host
from loadtests.wire.tls import TrustError, trusting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from loadtests.scrape.address import Endpoint

PERIOD_NS: Final = 1_000_000_000
PHASE_NS: Final = 370_000_000
"""Of the grid behind the run's start: schedules like whole seconds, and what is counted then is no usual moment."""

TIMEOUT_S: Final = 2.0
"""How long an answer may take, and, once more at the most, one whose bytes trickle in."""

JOIN_S: Final = 5.0
"""How long a run's end waits for a scrape that is on; longer than one may take."""

FLUSH_NS: Final = 3_000_000_000
MOST_BYTES: Final = 16 << 20
MOST_TEXTS: Final = 20_000
HEADERS: Final = {
    "Accept": "text/plain;version=0.0.4;q=1,*/*;q=0.1",
    "Accept-Encoding": "identity",
    "User-Agent": f"firsttoken/{__version__}",
}
OWN: Final = frozenset({"up", "scrape_duration_seconds", "scrape_series_left_out"})
"""Series that each scrape leaves; what a server tells by these names is about others that it asks itself."""

REDIRECTS: Final = frozenset({301, 302, 307, 308})
KINDS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (httpx.ConnectTimeout, "timeout_connect"),
    (httpx.TimeoutException, "timeout_total"),
    (httpx.ConnectError, "connect"),
    (httpx.ProtocolError, "protocol"),
    (httpx.TransportError, "reset"),
    (httpx.InvalidURL, "dns"),
    (ExpositionError, "bad_body"),
)


class NoAnswerError(Exception):
    """A scrape that gave nothing: `kind` is one of `record.ERROR_KINDS`, the message is for people."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def begin(found: Sequence[Endpoint], parts: Path, zero_ns: int, say: Callable[[str], None]) -> Callable[[], None]:
    """
    Ask endpoints from now on; call what is returned to end it.

    Args:
        found: Each gets a thread and a part of its own.
        parts: Of the run.
        zero_ns: Its start on the monotonic clock.
        say: Told, once per endpoint, that it does not answer at the start.
    """
    scrapers = [Scraper(one, parts / f"server-{n}.arrows", zero_ns, say) for n, one in enumerate(found)]
    for scraper in scrapers:
        scraper.start()

    def end() -> None:
        for scraper in scrapers:
            scraper.over.set()
        for scraper in scrapers:
            scraper.join(JOIN_S)

    return end


class Scraper(threading.Thread):
    """
    Asks one endpoint once before the run's start, and then each second of the run, until `over` is set.

    Args:
        path: Of its part.
        say: Told that the first scrape failed.
    """

    def __init__(self, endpoint: Endpoint, path: Path, zero_ns: int, say: Callable[[str], None]) -> None:
        super().__init__(name=f"scrape {endpoint.url}", daemon=True)
        self.over = threading.Event()
        self._url, self._source = endpoint.url, masked(endpoint.url)
        self._zero_ns, self._say = zero_ns, say
        self._part = Part(path, record.server_part_schema())
        self._rows: list[tuple[int, Series]] = []
        self._texts: dict[str, str] = {}
        self._flush_ns = clock.monotonic_ns() + FLUSH_NS

    def run(self) -> None:
        """Until it is over, or the disk is full; then the rows up to there are what there is."""
        with suppress(DiskFullError):
            try:
                self._ask()
            finally:
                self._flush()
        self._part.close()

    def _ask(self) -> None:
        try:
            client = _client(self._url)
        except NoAnswerError as failure:
            self._complain(failure)
            return
        with client:
            self._scrape(client, first=True)
            while not self.over.wait(self._patience_s()):
                self._scrape(client)
                if clock.monotonic_ns() >= self._flush_ns:
                    self._flush()

    def _patience_s(self) -> float:
        """Until the next moment of the grid; those that a slow answer has passed are left out."""
        since = clock.monotonic_ns() - self._zero_ns - PHASE_NS
        return (PERIOD_NS - since % PERIOD_NS if since >= 0 else -since) / 1e9

    def _scrape(self, client: httpx.Client, *, first: bool = False) -> None:
        began = clock.monotonic_ns()
        try:
            told, left_out = self._answer(client)
            found = [one for one in told if one.name not in OWN]
            own = [Series("up", "", 1.0)]
            own += [Series("scrape_series_left_out", "", float(left_out))] if left_out else []
        except NoAnswerError as failure:
            found, own = [], [Series("up", f'error="{failure.kind}"', 0.0)]
            if first:
                self._complain(failure)
        own.append(Series("scrape_duration_seconds", "", (clock.monotonic_ns() - began) / 1e9))
        at_ns = began - self._zero_ns
        self._rows += [(at_ns, one) for one in (*own, *found)]

    def _complain(self, failure: NoAnswerError) -> None:
        """In a line, once."""
        with suppress(OSError):  # whoever looked on may have gone
            self._say(f"note: no server metrics at {self._source}: {masked(str(failure))}; the run goes on")

    def _answer(self, client: httpx.Client) -> tuple[list[Series], int]:
        """
        What the endpoint says now.

        Raises:
            NoAnswerError: Nothing, or nothing that can be read.
        """
        try:
            text, content_type = _body(client, self._url)
            return read(text, content_type)
        except tuple(kind for kind, _ in KINDS) as error:
            kind = next(word for known, word in KINDS if isinstance(error, known))
            raise NoAnswerError(kind, f"{kind}, {error}") from None

    def _flush(self) -> None:
        """Write what has come since; label texts are long and repeat, so that they are packed."""
        rows, self._rows = self._rows, []
        self._flush_ns = clock.monotonic_ns() + FLUSH_NS
        if not rows:
            return
        columns: Sequence[Sequence[Any]] = (
            [at_ns for at_ns, _ in rows], [self._source] * len(rows), [one.name for _, one in rows],
            [self._masked(one.labels) for _, one in rows], [one.value for _, one in rows],
        )  # fmt: skip
        schema = self._part.schema
        arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        self._part.append(pa.record_batch(arrays, schema=schema), packed=True)

    def _masked(self, labels: str) -> str:
        """A server's words, looked at once for each series."""
        if len(self._texts) > MOST_TEXTS:
            self._texts.clear()
        if labels not in self._texts:
            self._texts[labels] = masked(labels)
        return self._texts[labels]


def _client(url: str) -> httpx.Client:
    """
    For one endpoint: no key, no cookies from elsewhere; loopback and private networks directly.

    Raises:
        NoAnswerError: The certificates or the proxy of the environment cannot be used.
    """
    at = urlsplit(url)
    try:
        verify = trusting() if at.scheme == "https" else False
        return httpx.Client(
            headers=HEADERS, timeout=TIMEOUT_S, trust_env=False, verify=verify,
            proxy=None if is_local_host(at.hostname or "") else _proxy(url),
        )  # fmt: skip
    except (TrustError, ImportError, ValueError) as error:
        raise NoAnswerError("tls" if isinstance(error, TrustError) else "connect", str(error)) from None


def _proxy(url: str) -> httpx.Proxy | None:
    """What the environment names for it."""
    address = proxies.from_environment(url)
    if address is None:
        return None
    known = proxies.credentials(address, urlsplit(url).scheme)
    return httpx.Proxy(address, auth=known and (known[0].decode(), known[1].decode()))


def _moved(url: str, response: httpx.Response) -> str:
    """Where a redirection leads; empty where that is no URL, or on another server."""
    with suppress(ValueError):
        there = urljoin(url, response.headers.get("Location", ""))
        if urlsplit(there)[:2] == urlsplit(url)[:2]:
            return str(there)
    return ""


def _body(client: httpx.Client, url: str, *, follow: bool = True) -> tuple[str, str]:
    """Body and content type; a redirection is followed once, where it stays with the server."""
    until_ns = clock.monotonic_ns() + int(TIMEOUT_S * 1e9)
    with client.stream("GET", url) as response:
        if response.status_code in REDIRECTS and follow and (there := _moved(url, response)):
            return _body(client, there, follow=False)
        if response.status_code != httpx.codes.OK:
            raise NoAnswerError("other_status", f"it answers {response.status_code}")
        data = bytearray()
        for piece in response.iter_raw():
            data += piece
            if len(data) > MOST_BYTES:
                raise NoAnswerError("bad_body", f"more than {MOST_BYTES >> 20} MiB")
            if clock.monotonic_ns() > until_ns:
                raise NoAnswerError("timeout_total", f"not whole within {TIMEOUT_S:g} s")
        return data.decode("utf-8", "replace"), response.headers.get("Content-Type", "")
