"""Where a server tells its figures: what `--server-metrics` takes, and which arms of a run an endpoint speaks of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from loadtests.redact import looks_secret
from loadtests.targets import is_local_host

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from loadtests.profiles import Profile

AUTO: Final = "auto"
"""The providers' own: /metrics at the origin of each base URL."""

PATH: Final = "/metrics"
FIX: Final = "write http://HOST:PORT, a whole URL, or auto for /metrics beside the base URL"
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class ScrapeError(ValueError):
    """An endpoint that cannot be asked: one line with the fix."""


class Endpoint(NamedTuple):
    """A URL, and the names of the arms whose server it speaks of."""

    url: str
    arms: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As kept in run.json under `server_metrics`; `source` is the column of that name."""
        return {"source": self.url, "arms": list(self.arms)}


def checked(texts: Iterable[str], *, allow_insecure_http: bool = False) -> tuple[str, ...]:
    """
    What `--server-metrics` was given, each once: `auto`, and whole URLs.

    No key is ever sent to an endpoint, so a URL with credentials is refused instead of kept in run.json.

    Raises:
        ScrapeError: It is no such thing.
    """
    return tuple(dict.fromkeys(AUTO if text == AUTO else _url(text, allow_insecure_http) for text in texts))


def endpoints(asked: Iterable[str], profiles: Sequence[Profile], names: Sequence[str]) -> list[Endpoint]:
    """
    What is asked in a run.

    An endpoint speaks of the arms that listen on its host and port; else of those on its host, as a GPU exporter does;
    else of all.

    Args:
        asked: As `checked` gives it.
        profiles: Of the arms, as they are really asked.
        names: Of the arms, in the same order.
    """
    own = [_split(profile.url) for profile in profiles]
    urls = [f"{at.scheme}://{_place(at)}{PATH}" for at in own] if AUTO in asked else []
    every = dict.fromkeys((*urls, *(url for url in asked if url != AUTO)))
    return [Endpoint(url, _arms(_split(url), own, names)) for url in every]


def _arms(at: SplitResult, own: Sequence[SplitResult], names: Sequence[str]) -> tuple[str, ...]:
    """Those it speaks of."""
    same = tuple(name for name, arm in zip(names, own, strict=True) if _listens(arm) == _listens(at))
    near = tuple(name for name, arm in zip(names, own, strict=True) if arm.hostname == at.hostname)
    return same or near or tuple(names)


def _url(text: str, allow_insecure_http: bool) -> str:
    """A whole URL."""
    at = _split(text)
    if "@" in at.netloc or looks_secret(text):
        raise ScrapeError(
            "--server-metrics: the URL holds credentials, which would be kept in run.json; leave them out, and let this"
            " machine in without a key"
        )
    if at.scheme == "http" and not (is_local_host(at.hostname or "") or allow_insecure_http):
        raise ScrapeError(
            f"--server-metrics {text}: plain http that leaves this network; use https, or add --allow-insecure-http"
        )
    return f"{at.scheme}://{_place(at)}{at.path if at.path not in ('', '/') else PATH}{at.query and '?'}{at.query}"


def _split(text: str) -> SplitResult:
    try:
        at = urlsplit(text)
        sound = at.scheme in DEFAULT_PORTS and at.hostname and at.port != 0 and not set(text) & set(" \t\r\n")
    except ValueError:  # of brackets or the port's number
        sound = False
    if not sound:
        shown = repr(text.rpartition("@")[2])
        raise ScrapeError(f"--server-metrics {shown}: is no http(s) URL; {FIX}")
    return at


def _place(at: SplitResult) -> str:
    """Host and port as a URL has them."""
    return at.netloc.rpartition("@")[2].lower()


def _listens(at: SplitResult) -> tuple[str | None, int]:
    return at.hostname, at.port or DEFAULT_PORTS[at.scheme]
