"""A client's connection and the answer that is on its way over it: what the server keeps of each."""

from __future__ import annotations

from array import array
from collections import deque
from typing import TYPE_CHECKING

from loadtests.mock.log import Truth
from loadtests.mock.request import RequestReader

if TYPE_CHECKING:
    import socket

    from loadtests.mock.answer import Answer
    from loadtests.mock.request import Ask, Request
    from loadtests.mock.tls import Session


class Connection:
    """One client's socket, with what waits to be answered and to be sent; `tls` is None where it is plain."""

    __slots__ = ("closes", "delivery", "fd", "out", "queues", "reader", "sock", "tls", "waiting")

    def __init__(self, sock: socket.socket, tls: Session | None) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.tls = tls
        self.reader = RequestReader()
        self.waiting: deque[tuple[Request, int, int]] = deque()
        self.delivery: Delivery | None = None
        self.out = bytearray()
        self.closes = False
        self.queues = False

    def seal(self, data: bytes) -> bytes:
        """Bytes of HTTP as the socket is to get them."""
        return data if self.tls is None else self.tls.seal(data)


class Delivery:
    """An answer on its way. `start_ns` is monotonic, `read_ns` and the stamps are CLOCK_REALTIME."""

    __slots__ = ("answer", "ask", "connection", "offsets_ns", "position", "read_ns", "stamps", "start_ns", "writes")

    def __init__(self, connection: Connection, answer: Answer, ask: Ask, moments: tuple[int, int]) -> None:
        self.connection: Connection | None = connection
        self.answer = answer
        self.ask = ask
        self.start_ns, self.read_ns = moments
        self.offsets_ns = answer.offsets_ns
        self.writes = answer.writes
        self.position = 0
        self.stamps = array("q")

    def truth(self, finish: str) -> Truth:
        """What the log says of it."""
        stamps = self.stamps if self.answer.has_tokens else array("q")
        if self.answer.token_writes is not None:
            stamps = array("q", (stamps[place] for place in self.answer.token_writes if place < len(stamps)))
        ask = self.ask
        return Truth(self.answer.number, self.read_ns, stamps, finish, ask.prompt_tokens, ask.cap, ask.stream)
