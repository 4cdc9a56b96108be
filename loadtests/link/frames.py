"""
What goes over a ZeroMQ connection: a frame of JSON, and for some messages frames of bytes behind it.

Whatever comes from the network is checked before it is believed: a frame that is not such a message is no message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from loadtests import __version__
from loadtests.record import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

PROTOCOL: Final = 1
SILENCE_S: Final = 8.5
"""Who has not heard from the master for so long offers no more load: by then it may have been given up."""

GIVE_UP_S: Final = 10.0
"""Whom the master has not heard for so long is lost: whatever it may still send, it has stopped offering."""

BEAT_S: Final = 0.5
MOST_BYTES: Final = 1 << 30


def greeting() -> dict[str, Any]:
    """What both sides must have in common."""
    return {"protocol": PROTOCOL, "schema": SCHEMA_VERSION, "version": __version__}


def mismatch(theirs: dict[str, Any]) -> str:
    """Why two sides cannot work together, for people; "" where they can."""
    ours = greeting()
    if all(theirs.get(key) == ours[key] for key in ("protocol", "schema")):
        return ""
    return f"the master is firsttoken {ours['version']}, the worker {theirs.get('version')}; install the same on both"


def pack(message: dict[str, Any], *data: bytes | memoryview) -> list[bytes | memoryview]:
    """A message as its frames."""
    return [orjson.dumps(message), *data]


def unpack(frames: Sequence[bytes]) -> tuple[dict[str, Any], list[bytes]] | None:
    """A message and the bytes behind it; None where the frames are no message of ours."""
    try:
        message = orjson.loads(frames[0])
    except (orjson.JSONDecodeError, IndexError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        return None
    return message, list(frames[1:])
