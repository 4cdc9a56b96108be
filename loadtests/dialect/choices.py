"""The choices of an answer: what a chunk or a message bears for each of them, and why each ended."""

from __future__ import annotations

from typing import Any, Final

from loadtests.dialect.delta import Piece, bears, part_of, parts, pieces
from loadtests.record import CONTENT

GOOD_FINISH: Final = frozenset({"stop", "length", "tool_calls", "function_call", "content_filter"})
FILTERED: Final = "content_filter"


class Choices:
    """
    All choices of one answer, told apart by their index, else by their place.

    Args:
        asked: How many were asked for. With one, all that comes is of that one, whatever its index says; None: as many
            as begin.
        keep_text: Keep what they say.

    Attributes:
        pieces: All that they bear as it came, each text with its kind (a bit of `record`); None where it is not kept.
        finishes: By the index of a choice, why it ended.
    """

    __slots__ = ("_begun", "_single", "asked", "finishes", "pieces")

    def __init__(self, *, asked: int | None, keep_text: bool) -> None:
        self.asked = asked or 1
        self._single = asked == 1
        self._begun: set[int] = set()
        self.finishes: dict[int, str] = {}
        self.pieces: list[Piece] | None = [] if keep_text else None

    def take(self, value: dict[str, Any], name: str) -> tuple[int, int, int]:
        """The kinds, the characters and the UTF-8 bytes that all choices of a chunk or an answer bear together."""
        kind = chars = utf8 = 0
        choices = value.get("choices")
        if not isinstance(choices, list):
            return 0, 0, 0
        if self.pieces is not None:
            self.pieces += [piece for part in parts(value, name) for piece in pieces(part)]
        for place, choice in enumerate(choices):
            if not isinstance(choice, dict):
                continue
            index = choice.get("index")
            index = 0 if self._single else index if isinstance(index, int) else place
            self._begun.add(index)
            part = choice.get(name)
            if part is None:
                part = part_of(choice, name)
            if isinstance(part, dict):
                bits, more, bytes_ = bears(part)
                kind |= bits
                chars += more
                utf8 += bytes_
            finish = choice.get("finish_reason")
            if isinstance(finish, str) and finish:
                self.finishes[index] = finish
        return kind, chars, utf8

    @property
    def text(self) -> str:
        """All that they bear, in one; empty where it is not kept."""
        return "".join(text for text, _ in self.pieces or ())

    @property
    def content(self) -> str:
        """What is no reasoning, no tool call and no refusal: what a history holds; empty where it is not kept."""
        return "".join(text for text, kind in self.pieces or () if kind & CONTENT)

    @property
    def finished(self) -> bool:
        """Every choice that began has said why it ended."""
        return bool(self._begun) and self._begun <= self.finishes.keys()

    @property
    def complete(self) -> bool:
        """So has every choice that was asked for, whether it began or not."""
        return self.finished and len(self.finishes) >= self.asked

    @property
    def finish_reason(self) -> str | None:
        """Why it ended: the first reason that is none of the good ones, else the last one given."""
        reasons = list(self.finishes.values())
        bad = (reason for reason in reasons if reason.lower() not in GOOD_FINISH)
        return next(bad, reasons[-1] if reasons else None)

    @property
    def filtered(self) -> bool:
        """A content filter ended one of them."""
        return any(reason.lower() == FILTERED for reason in self.finishes.values())


def is_chunk(value: dict[str, Any]) -> bool:
    """Whether this is a piece of a stream rather than an answer."""
    if value.get("object") == "chat.completion.chunk":
        return True
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(first, dict) and "delta" in first
