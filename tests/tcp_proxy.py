"""A TCP proxy on 127.0.0.1 for tests: it delays what passes, holds it up for a while, and cuts connections."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Self

from loadtests import clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PIECE: int = 1 << 16
QUEUED: int = 64


class Proxy:
    """
    Passes bytes on in a thread of its own.

    Args:
        port: Of 127.0.0.1, where connections go on to.
        delay_s: How long each byte is on its way, both ways.

    Attributes:
        port: Where it listens.
        connections: How many have come so far.
    """

    def __init__(self, port: int, delay_s: float = 0.0) -> None:
        self._to, self.delay_s = port, delay_s
        self._free_s = 0.0
        self.port, self.connections = 0, 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._up.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    def stall(self, seconds: float) -> None:
        """From now on nothing passes for so long, either way; it comes afterwards. New connections wait, too."""
        self._free_s = _now_s() + seconds

    def cut(self) -> int:
        """Reset all connections; how many there were."""
        return asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result()

    async def _cut(self) -> int:
        cut = list(self._open)
        for writer in cut:
            writer.transport.abort()
        return len(cut) // 2

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._over.wait()
        server.close()
        await self._cut()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._pause(_now_s())
            there, on = await asyncio.open_connection("127.0.0.1", self._to)
            self._open.add(on)
            await asyncio.gather(self._one_way(reader, on), self._one_way(there, writer))
            self._open.discard(on)
        self._open.discard(writer)
        writer.close()

    async def _one_way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read and write at their own pace, with a bounded queue between them."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(QUEUED)
        await asyncio.gather(self._take(reader.read, queue.put), self._give(queue.get, writer))

    async def _take(
        self, read: Callable[[int], Awaitable[bytes]], put: Callable[[tuple[float, bytes]], Awaitable[None]]
    ) -> None:
        data = b"."
        while data:
            try:
                data = await read(PIECE)
            except OSError:
                data = b""
            await put((_now_s() + self.delay_s, data))

    async def _give(self, get: Callable[[], Awaitable[tuple[float, bytes]]], writer: asyncio.StreamWriter) -> None:
        data = b"."
        with contextlib.suppress(OSError):
            while data:
                due_s, data = await get()
                await self._pause(due_s)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def _pause(self, due_s: float) -> None:
        """Until then, and until nothing holds it up."""
        while (wait_s := max(due_s, self._free_s) - _now_s()) > 0:  # noqa: ASYNC110 - a moment, and no event
            await asyncio.sleep(wait_s)


def _now_s() -> float:
    return clock.monotonic_ns() / 1e9
