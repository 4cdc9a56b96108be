"""
Answers whose bytes are made once and shared: to calibrate a client with more chunks than composing each one allows.

Pure. All answers to one model with one number of tokens are the same bytes: they say the id `chatcmpl-0` and the
second in which the first of them was made. What differs is the head, whose X-Request-Id tells the number of the
request, and the usage, which counts the tokens of its prompt. Gaps are constant, so that streams that begin at one
moment stay in step, and each gap ends in a burst: offer them one after the other.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from loadtests.mock.answer import EVENT_STREAM, JSON, Answer, Voice, compose, tail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.mock.script import Performance, Script

MOST_KEPT: Final = 64
"""Kinds of answer that are kept; one more, and all are made again."""

USAGE: Final = b'"usage":'


class Kind(NamedTuple):
    """What tells the shared bytes of one answer from those of another; `cap` is None where it cuts nothing."""

    model: str
    cap: int | None
    stream: bool
    tells_usage: bool


class Parts(NamedTuple):
    """What answers of one kind share: who says it, what is played, and the bytes of each write but for the head."""

    voice: Voice
    play: Performance
    offsets_ns: tuple[int, ...]
    first: bytes
    others: tuple[bytes, ...]


class Prepared:
    """Answers chat completions by a script whose `prepared` is set."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._longest = script.reasoning_tokens + script.output_tokens
        self._kept: dict[Kind, Parts] = {}

    def answer(self, voice: Voice) -> Answer:
        """The answer to one request."""
        ask = voice.ask
        cuts = ask.cap is not None and ask.cap < self._longest and not self._script.ignore_cap
        kind = Kind(ask.model, ask.cap if cuts else None, ask.stream, voice.tells_usage)
        parts = self._kept.get(kind) or self._make(kind, voice)
        return Answer(
            self._offsets_ns(parts, ask.prompt_tokens),
            _streamed(parts, voice) if ask.stream else _whole(parts, voice),
            parts.play.finish_reason,
            "keep" if voice.keeps_alive else "close",
            has_tokens=True,
            number=voice.number,
            tokens=parts.play.tokens,
        )

    def _make(self, kind: Kind, voice: Voice) -> Parts:
        """Compose an answer of this kind as usual, and keep it without its head."""
        play = self._script.play(0, 0, kind.cap, kind.stream)
        shared = voice._replace(number=0)
        answer = compose(shared, play)
        first, *others = answer.writes
        _, _, body = first.partition(b"\r\n\r\n")
        if not kind.stream:
            body = body[: body.rindex(USAGE) + len(USAGE)]
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        parts = self._kept[kind] = Parts(shared, play, tuple(answer.offsets_ns), body, tuple(others))
        return parts

    def _offsets_ns(self, parts: Parts, prompt_tokens: int) -> tuple[int, ...]:
        prefill_ns = round(self._script.prefill_s_per_1k_tokens * prompt_tokens * 1e6)
        return tuple(offset + prefill_ns for offset in parts.offsets_ns) if prefill_ns else parts.offsets_ns


def _streamed(parts: Parts, voice: Voice) -> Iterator[bytes]:
    """The writes of a stream; its tail is made anew where it tells the usage."""
    first, others = voice.head(EVENT_STREAM) + parts.first, parts.others
    if voice.tells_usage:
        says_usage = parts.voice._replace(ask=voice.ask)
        others = (*others[:-1], tail(says_usage, parts.play, len(others)))
    return chain((first,), others)


def _whole(parts: Parts, voice: Voice) -> Iterator[bytes]:
    """An answer in one piece: its usage is told last, and always."""
    body = b"%b%b}" % (parts.first, voice.usage(parts.play.tokens, parts.play.reasoning_tokens))
    return iter((voice.head(JSON, len(body)) + body, b""))
