"""How long an answer is waited for: to its first byte, from payload to payload, and over all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.errors import Failure

if TYPE_CHECKING:
    from loadtests.wire.exchange import Exchange


def expired(exchange: Exchange, now_ns: int) -> Failure | None:
    """Which patience of an exchange has run out at this moment of the axis, if any has."""
    if now_ns - exchange.started_ns > exchange.total_ns:
        return Failure("timeout_total", f"not over after {exchange.total_ns / 1e9:g} s")
    if exchange.sent_ns is None:
        return None
    if exchange.headers_ns is None:
        if now_ns - exchange.sent_ns > exchange.first_byte_ns:
            return Failure("timeout_first_byte", f"no response byte within {exchange.first_byte_ns / 1e9:g} s")
    elif now_ns - (exchange.payload_ns or exchange.headers_ns) > exchange.silence_ns:
        return Failure("timeout_silence", f"nothing but silence for {exchange.silence_ns / 1e9:g} s")
    return None
