"""
A probe as a file: what was sent and what came back, without secrets. JSON, mode 0600.

    schema      1
    tool        name and version
    profile     its name
    base_url    where it pointed
    model       what was asked for
    began       UTC, yyyymmdd-hhmmss
    exchanges   in order, each:
        kind            models, streamed, whole, tools, wrong, wrong key
        mistake         what is wrong with it on purpose, or null
        request         {method, url, headers: [[name, value] ...], body: JSON or null}
        response        null where none came, else
            status, http_version
            headers         [[name, value] ...] in lower case, as they came; those that hold secrets, like set-cookie,
                            without their values
            headers_ms      since the request was sent, by this process' clock: for orientation
            body            JSON, else text; null where there are events
            events          [[ms, name, data: JSON or text] ...]; null where it was no stream
            cut             the body or the events were longer than 64 KiB, and what is missing was left out
        end_ms          since the request was sent
        outcome         as a run's row would say it: ok, or kind and text of the error

Every text passes the one redaction: the key and what has the shape of one are masked, in names, values and bodies.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any, Final

from loadtests import __version__
from loadtests.dialect import loose
from loadtests.redact import MASK, SECRET_HEADERS, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from loadtests.probe.seen import Seen

SCHEMA: Final = 1
MAX_BYTES: Final = 64 << 10


def transcript(profile: str, base_url: str, model: str, began: str, seen: Iterable[Seen]) -> dict[str, Any]:
    """All of it, not redacted yet."""
    return {
        "schema": SCHEMA,
        "tool": f"firsttoken {__version__}",
        "profile": profile,
        "base_url": base_url,
        "model": model,
        "began": began,
        "exchanges": [exchange(one) for one in seen],
    }


def exchange(seen: Seen) -> dict[str, Any]:
    """One request and what came of it."""
    ask = seen.ask
    request = {"method": ask.method, "url": ask.url, "headers": [list(pair) for pair in ask.headers]}
    return {
        "kind": ask.kind,
        "mistake": ask.mistake.what if ask.mistake is not None else None,
        "request": {**request, "body": loose.body(ask.body)[0] if ask.body else None},
        "response": _response(seen) if seen.status is not None else None,
        "end_ms": _ms(seen.end_ns),
        "outcome": seen.said,
    }


def _response(seen: Seen) -> dict[str, Any]:
    events, cut = _events(seen) if seen.events else (None, len(seen.body) > MAX_BYTES)
    return {
        "status": seen.status,
        "http_version": seen.http_version,
        "headers": [[name, MASK if name.lower() in SECRET_HEADERS else value] for name, value in seen.headers],
        "headers_ms": _ms(seen.headers_ns or 0),
        "body": None if seen.events else _read(seen.body[:MAX_BYTES]),
        "events": events,
        "cut": cut,
    }


def _events(seen: Seen) -> tuple[list[list[Any]], bool]:
    kept: list[list[Any]] = []
    size = 0
    for stamp, data, name in seen.events:
        size += len(data)
        if size > MAX_BYTES:
            return kept, True
        kept.append([_ms(stamp), name.decode("utf-8", "replace"), _read(data)])
    return kept, False


def _read(data: bytes) -> Any:
    """Bytes as the JSON they are, else as text."""
    value = loose.body(data)[0]
    return data.decode("utf-8", "replace") if value is None else value


def _ms(ns: int) -> float:
    return round(ns / 1e6, 3)


def cleaned(value: Any, secrets: Sequence[str]) -> Any:
    """Nested data with every text in it redacted, names too."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {redact(str(key), secrets): _under(key, inner, secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(inner, secrets) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no such number
    number = str(value)
    return value if redact(number, secrets) == number else MASK


def _under(key: Any, value: Any, secrets: Sequence[str]) -> Any:
    """A value beside its name, which may be what tells that it is a secret."""
    if not isinstance(value, str):
        return cleaned(value, secrets)
    prefix = f"{key}: "
    text = redact(prefix + value, secrets)
    return text.removeprefix(prefix) if text.startswith(prefix) else redact(value, secrets)


def write(path: Path, value: dict[str, Any], secrets: Sequence[str]) -> None:
    """
    Write it, redacted, for its owner alone.

    Raises:
        OSError: It cannot be written.
    """
    data = json.dumps(cleaned(value, secrets), ensure_ascii=False, indent=1).encode("utf-8", "replace")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
        os.fchmod(file.fileno(), 0o600)
        file.write(data + b"\n")
