"""
What was really said, on request: a share of the requests and their answers, redacted and cut, for people to read.

One JSON line each, in a file that only its owner may read. Redacting takes a millisecond or so of the process that
makes the load: this is for looking, not for measuring.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests.redact import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from loadtests.record import Record

MOST_CHARS: Final = 16_384
"""Of a request's body, and of an answer's."""

PREFIX: Final = "bodies-"


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
        facts = {
            "seq": record.seq, "arm": record.arm, "outcome": record.outcome, "error_kind": record.error_kind,
            "status": record.status, "request": self._text(sent.partition(b"\r\n\r\n")[2]),
            "headers": {self._text(name): self._text(value) for name, value in headers.items()},
            "answer": self._text(answer), "answer_bytes": len(answer),
        }  # fmt: skip
        try:
            self._file.write(orjson.dumps(facts) + b"\n")
        except OSError:  # no room: rows matter more
            self._share = 0.0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _text(self, data: bytes) -> str:
        return redact(data[: 4 * MOST_CHARS].decode("utf-8", "replace")[:MOST_CHARS], self._secrets)


def gather(parts: Path, target: Path) -> None:
    """Put what the workers kept into one file, by its owner alone to be read; a line that a kill cut is left out."""
    found = sorted(parts.glob(f"{PREFIX}*.jsonl"))
    if not found:
        return
    lines = [line for path in found for line in path.read_bytes().split(b"\n")[:-1]]
    partial = target.with_name(f"{target.name}.tmp")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.writelines(line + b"\n" for line in sorted(lines, key=_seq))
    partial.replace(target)


def _seq(line: bytes) -> Any:
    return orjson.loads(line)["seq"]
