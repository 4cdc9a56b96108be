"""The load-making process beside an agent: a worker process of ours, or Locust, which started the agent itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from loadtests.fleet.here import Process

if TYPE_CHECKING:
    from loadtests.agent.place import Place
    from loadtests.link.lines import Lines


class Load(Protocol):
    """What an agent knows of it: `fd` is readable when it has said something."""

    fd: int

    def take(self) -> list[dict[str, Any]]:
        """What it has said."""

    def tell(self, command: dict[str, Any]) -> None:
        """Say something to it."""

    def ended(self) -> str:
        """How it ended, for people; "" while it runs."""

    def kill(self) -> None:
        """End it at once."""

    def close(self) -> None:
        """End it, politely first."""


class Child:
    """
    A worker process of ours.

    Args:
        place: The directory that it reads its plan from and writes to.
    """

    def __init__(self, place: Place) -> None:
        self._process = Process.start(place.path, place.parts, place.number)
        self.fd = self._process.lines.fd

    def take(self) -> list[dict[str, Any]]:
        """What it has said."""
        return self._process.lines.take()

    def tell(self, command: dict[str, Any]) -> None:
        """Say something to it."""
        self._process.lines.tell(command)

    def ended(self) -> str:
        """How it ended, for people; "" while it runs."""
        if self._process.popen.poll() is None or not self._process.lines.closed:
            return ""
        return self._process.how_it_ended()

    def kill(self) -> None:
        """End it at once."""
        self._process.popen.kill()

    def close(self) -> None:
        """End it, politely first."""
        self._process.end()


class Parent:
    """
    Locust, which has started this agent and speaks with it over its standard input and output.

    Args:
        place: The directory that it reads its plan from and writes to.
        lines: To it and from it.
    """

    def __init__(self, place: Place, lines: Lines) -> None:
        self._lines = lines
        self.fd = lines.fd
        self.tell({"do": "prepare", "path": str(place.path), "worker": place.number})

    def take(self) -> list[dict[str, Any]]:
        """What it has said."""
        return self._lines.take()

    def tell(self, command: dict[str, Any]) -> None:
        """Say something to it."""
        self._lines.tell(command)

    def ended(self) -> str:
        """How it ended, for people; "" while it runs."""
        return "Locust ended" if self._lines.closed else ""

    def kill(self) -> None:
        """Locust is somebody else's process: the master's Locust ends it."""

    def close(self) -> None:
        """Nothing of it is ours."""
