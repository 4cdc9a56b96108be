"""An agent's ZeroMQ connection to its master: it comes back by itself, and what finds no room in it is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import zmq

from loadtests import clock
from loadtests.link.frames import BEAT_S, MOST_BYTES, pack, unpack
from loadtests.link.offset import Offsets
from loadtests.link.talk import Heard, Said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.link.offset import Reading

ASK_NS = 250_000_000
QUICK_NS = 50_000_000
QUICKLY = 12
"""So many times the master is asked for the time in quick succession."""


class Connection:
    """
    Messages to and from a master.

    Args:
        where: Its host and port.

    Attributes:
        offsets: How far the master's clock is from this one.
        heard_ns: When the master had surely not yet given this worker up, on this clock: it has answered what was
            asked then, and counts its silence from hearing that.
        zero: How far its clock was when the run began; None before that.
    """

    def __init__(self, where: tuple[str, int]) -> None:
        self.offsets = Offsets()
        self.heard_ns = clock.monotonic_ns()
        self.zero: Reading | None = None
        self._said, self._heard = Said(), Heard()
        self._beat_ns = 0
        self._asked_ns = 0
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in (
            (zmq.IDENTITY, uuid4().bytes), (zmq.LINGER, 500), (zmq.IMMEDIATE, 1), (zmq.MAXMSGSIZE, MOST_BYTES),
            (zmq.RECONNECT_IVL, 100), (zmq.RECONNECT_IVL_MAX, 1000), (zmq.HEARTBEAT_IVL, 2000),
            (zmq.HEARTBEAT_TIMEOUT, 10_000), (zmq.IPV6, 1),
        ):  # fmt: skip
            self._socket.setsockopt(option, value)
        self._socket.connect(f"tcp://{where[0]}:{where[1]}")
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)

    def also(self, fd: int) -> None:
        """Wake up for this descriptor, too."""
        self._poller.register(fd, zmq.POLLIN)

    def no_more(self, fd: int) -> None:
        """Not for this one any more."""
        self._poller.unregister(fd)

    def wait(self, timeout_s: float) -> None:
        """Sleep until something has come, or so long."""
        self._poller.poll(int(timeout_s * 1000))

    def send(self, message: dict[str, Any], *data: bytes) -> bool:
        """Hand it to the connection; False where that has no room, or there is none."""
        try:
            self._socket.send_multipart(pack(message, *data), zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def tell(self, message: dict[str, Any]) -> None:
        """Say something that must be heard: it is said again until it was."""
        self.send(self._said.say(message, clock.monotonic_ns()))

    def take(self) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
        """What has come and is new; what is about the connection itself is seen to."""
        while True:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            found = unpack(frames)
            if found is not None and not self._is_mine(found[0]):
                yield found

    def _is_mine(self, message: dict[str, Any]) -> bool:
        """Take note of answers about the time, of what the master has heard, and of what it says twice."""
        kind, now_ns = message["kind"], clock.monotonic_ns()
        if kind == "time":
            self.offsets.answered(message["asked_ns"], message["at_ns"], now_ns)
            self.heard_ns = max(self.heard_ns, message["asked_ns"])
        elif kind == "beat":
            self._said.taken(message["heard"], now_ns)
        return kind == "time" or (kind == "do" and not self._heard.takes(message))

    def start(self, zero_ns: int) -> int:
        """The run's zero on this machine's clock; from now on it is as far from the master's as it is now."""
        self.zero = self.offsets.best(clock.monotonic_ns())
        return zero_ns - self.zero.offset_ns

    @property
    def silent_s(self) -> float:
        """Since when nothing that was asked has been answered."""
        return (clock.monotonic_ns() - self.heard_ns) / 1e9

    @property
    def is_heard(self) -> bool:
        """Whether the master has heard all that it must."""
        return not self._said.open

    def beat(self) -> bool:
        """
        Say, where that is due, that this worker lives, how its clock stands, and again what was not heard.

        Returns:
            Whether it was due.
        """
        now_ns = clock.monotonic_ns()
        if now_ns - self._beat_ns < BEAT_S * 1e9 or not self.offsets.count:
            return False
        self._beat_ns = now_ns
        now = self.offsets.best(now_ns)
        used = self.zero or now
        drift_ns = now.offset_ns - used.offset_ns
        clocks = {"offset_ns": used.offset_ns, "error_ns": used.error_ns, "drift_ns": drift_ns}
        self.send({"kind": "beat", "heard": self._heard.count, "clock": clocks})
        for message in self._said.again(now_ns):
            self.send(message)
        return True

    def ask_time(self) -> None:
        """Ask for the master's time, where that is due."""
        now_ns = clock.monotonic_ns()
        if now_ns - self._asked_ns >= (QUICK_NS if self.offsets.count < QUICKLY else ASK_NS):
            self._asked_ns = now_ns
            self.send({"kind": "time", "asked_ns": now_ns})

    def close(self) -> None:
        """Nothing more."""
        self._socket.close()
        self._context.term()
