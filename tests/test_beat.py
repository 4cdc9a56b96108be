"""When the sockets are looked at: at each event, or at a steady beat."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import gevent
import pytest
from gevent.hub import get_hub

from loadtests.wire.beat import FEW_READS, SPAN, Beat

if TYPE_CHECKING:
    from collections.abc import Iterator


class Looked:
    """A pipe and a look that leaves its bytes where they are, so that there is always something to be seen."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_NONBLOCK)
        self.looks = self.at_beats = 0
        self.reads = 1
        self.takes = False
        self.beat = Beat(get_hub().loop, self.reading, self._look)

    def _look(self) -> int:
        self.looks += 1
        self.at_beats += self.beat.steady
        if self.takes:
            os.read(self.reading, 4096)
        return self.reads

    def drain(self) -> None:
        """Take the bytes: nothing is to be seen any more."""
        os.read(self.reading, 4096)
        self.reads = 0

    def until(self, *, steady: bool) -> None:
        """Let the loop go on until a beat is kept, or none any more."""
        with gevent.Timeout(60):
            while self.beat.steady is not steady:
                gevent.sleep(0.001)

    def close(self) -> None:
        """Stop and close."""
        self.beat.close()
        os.close(self.reading)
        os.close(self.writing)


@pytest.fixture
def looked() -> Iterator[Looked]:
    made = Looked()
    yield made
    made.close()


def test_a_few_events_are_seen_as_they_come(looked: Looked) -> None:
    """One at a time and each taken: however long it goes on, no beat is kept."""
    looked.takes = True
    for seen in range(1, SPAN + 10):
        os.write(looked.writing, b"x")
        with gevent.Timeout(60):
            while looked.looks < seen:
                gevent.sleep(0.001)

    assert not looked.beat.steady


def test_many_events_are_seen_at_a_beat_and_few_again_as_they_come(looked: Looked) -> None:
    """What is always readable is looked at thousands of times a second: too often."""
    os.write(looked.writing, b"x")
    looked.reads = FEW_READS  # more than one in each look: enough for the beat to go on
    looked.until(steady=True)
    assert looked.looks - looked.at_beats >= SPAN

    looked.drain()
    looked.until(steady=False)

    assert looked.at_beats >= SPAN
    before = looked.looks
    os.write(looked.writing, b"y")
    with gevent.Timeout(60):
        while looked.looks == before:
            gevent.sleep(0.001)


def test_nothing_is_looked_at_after_the_end() -> None:
    looked = Looked()
    os.write(looked.writing, b"x")
    looked.close()
    gevent.sleep(0.01)

    assert looked.looks == 0


def test_a_look_that_raises_does_not_end_the_looking(looked: Looked, capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        looked.looks += 1
        os.read(looked.reading, 4096)
        raise ValueError("a flaw")

    looked.beat._look = fail
    for seen in (1, 2):
        os.write(looked.writing, b"x")
        with gevent.Timeout(60):
            while looked.looks < seen:
                gevent.sleep(0.001)

    assert "a flaw" in capfd.readouterr().err
