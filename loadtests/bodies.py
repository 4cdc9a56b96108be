"""
What was really said, on request: a share of the requests and their answers, redacted and cut, for people to read.

One JSON line each, in a file that only its owner may read, worker by worker and in each by the time of the answer's
end. Redacting takes a millisecond or so of the process that makes the load: this is for looking, not for measuring.
"""

from __future__ import annotations

import hashlib
import logging
import os
from typing import TYPE_CHECKING, Final

import orjson

from loadtests.redact import MASK, SECRET_HEADERS, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from loadtests.record import Record

MOST_CHARS: Final = 16_384
"""Of a request's body, and of an answer's."""

PREFIX: Final = "bodies-"

logger = logging.getLogger("firsttoken")


class Bodies:
    """
    The kept bodies of one process.

    Args:
        folder: The run's parts directory.
        worker: Number of this process.
        share: Of the requests, 0 to 1; which ones follows from their place in the schedule.
        secrets: What must not be in them.
    """

    def __init__(self, folder: Path, worker: int, share: float, secrets: Iterable[str]) -> None:
        self._share, self._secrets = share, list(secrets)
        opened = os.open(folder / f"{PREFIX}{worker}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(opened, "ab", buffering=0)

    def wants(self, seq: int) -> bool:
        """Whether the request at this place is one of the share."""
        draw = hashlib.blake2b(b"%d" % seq, digest_size=8).digest()
        return int.from_bytes(draw, "little") < self._share * 2**64

    def keep(self, record: Record, sent: bytes, headers: Mapping[bytes, bytes], answer: bytes) -> None:
        """Write one exchange: the request's body, the answer's headers and its body as it came."""
        if not self._share:
            return  # there was no room for an earlier one
        facts = {
            "seq": record.seq, "arm": record.arm, "outcome": record.outcome, "error_kind": record.error_kind,
            "status": record.status, "request": self._text(sent.partition(b"\r\n\r\n")[2]),
            "headers": {self._text(name): self._header(name, value) for name, value in headers.items()},
            "answer": self._text(answer), "answer_bytes": len(answer),
        }  # fmt: skip
        line = orjson.dumps(facts) + b"\n"
        try:
            written = self._file.write(line)
        except OSError:
            written = 0
        if written != len(line):  # no room: rows matter more, and nothing may follow a cut line
            self._share = 0.0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _text(self, data: bytes) -> str:
        return redact(data[: 4 * MOST_CHARS].decode("utf-8", "replace")[:MOST_CHARS], self._secrets)

    def _header(self, name: bytes, value: bytes) -> str:
        return MASK if name.lower().decode("latin-1") in SECRET_HEADERS else self._text(value)


def gather(parts: Path, target: Path) -> None:
    """
    Put what the workers kept into one file for its owner alone; a line that a kill cut is left out.

    Where there is no room for that, their files are moved beside it as they are, which takes none.
    """
    found = sorted(parts.glob(f"{PREFIX}*.jsonl"), key=lambda path: (len(path.name), path.name))
    if not found:
        return
    partial = target.with_name(f"{target.name}.tmp")
    try:
        _join(found, partial)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        logger.warning("%s: %s; what each worker kept stays in %s*.jsonl", target, error.strerror, PREFIX)
        for path in found:
            path.replace(target.with_name(path.name))


def _join(found: Iterable[Path], partial: Path) -> None:
    """Copy the whole lines of one file after the other, a line in memory at a time."""
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for path in found:
            with path.open("rb") as kept:
                file.writelines(line for line in kept if line.endswith(b"\n"))
