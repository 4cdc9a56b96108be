"""
What the mock tells of itself at /metrics, in the text format of Prometheus: who is served, who waits, what was said.

Asked for at any moment and answered at once: it takes no slot, needs no key and is no request of the script.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from loadtests.mock.condition import Slots
    from loadtests.mock.connection import Connection, Delivery
    from loadtests.mock.request import Request

PATH: Final = "/metrics"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Figures:
    """Counts chat completions as they end; what is on its way is looked up when somebody asks."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._served: dict[str, int] = {}
        self._prompt_tokens = self._generation_tokens = 0

    def add(self, delivery: Delivery, finish: str) -> None:
        """A chat completion has ended like this."""
        if delivery.answer.number:
            self._served[finish] = self._served.get(finish, 0) + 1
            self._prompt_tokens += delivery.ask.prompt_tokens
            self._generation_tokens += _spoken(delivery)

    def answers(self, connection: Connection, connections: Collection[Connection]) -> bytes:
        """What a connection gets for each of its next requests that asks for figures; they are answered with it."""
        pages = b""
        while connection.waiting and _asks(connection.waiting[0][0]):
            request, _, _ = connection.waiting.popleft()
            pages += _page(self.text(connections).encode(), request)
            connection.closes = connection.closes or not request.keep_alive
        return connection.seal(pages) if pages else b""

    def text(self, connections: Collection[Connection]) -> str:
        """All figures now."""
        under_way = [one.delivery for one in connections if one.delivery is not None and one.delivery.answer.number]
        prompts = self._prompt_tokens + sum(one.ask.prompt_tokens for one in under_way)
        spoken = self._generation_tokens + sum(map(_spoken, under_way))
        served = [(f'{{finish="{finish}"}}', count) for finish, count in sorted(self._served.items())]
        slots = [] if self._slots.most is None else [("", self._slots.most)]
        rows: list[tuple[str, str, str, list[tuple[str, Any]]]] = [
            ("requests_running", "gauge", "Chat completions that are being answered.", [("", len(under_way))]),
            ("requests_waiting", "gauge", "Requests that wait for a slot.", [("", self._slots.waiting)]),
            ("slots", "gauge", "Requests that are served at a time, at most.", slots),
            ("requests_total", "counter", "Chat completions that have ended, by how.", served),
            ("prompt_tokens_total", "counter", "Tokens of the prompts whose answer has begun.", [("", prompts)]),
            ("generation_tokens_total", "counter", "Tokens that have been sent.", [("", spoken)]),
        ]
        return "".join(_family(f"mock_{name}", kind, said, values) for name, kind, said, values in rows if values)


def _asks(request: Request) -> bool:
    return request.path == PATH and request.method == "GET"


def _spoken(delivery: Delivery) -> int:
    """Tokens of an answer that have gone out: its share of the writes that were made."""
    return round(delivery.answer.tokens * delivery.position / max(1, len(delivery.offsets_ns)))


def _family(name: str, kind: str, said: str, values: list[tuple[str, Any]]) -> str:
    lines = [f"# HELP {name} {said}", f"# TYPE {name} {kind}", *(f"{name}{labels} {value}" for labels, value in values)]
    return "\n".join(lines) + "\n"


def _page(body: bytes, request: Request) -> bytes:
    close = "" if request.keep_alive else "Connection: close\r\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n{close}\r\n"
    return head.encode() + body
