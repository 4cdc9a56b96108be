"""Framing: the same chunks as ever, as bytes that a careless reader of event streams trips over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from loadtests.mock.manner import DONE, USUAL, Manner, beats, sse
from loadtests.mock.providers.llmgateway import MANNER as NAMED
from loadtests.mock.scenarios.scenario import fails, fine
from loadtests.mock.score import Piece, pieces_of, played, streamed, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from loadtests.mock.scene import Scene
    from loadtests.mock.score import Score

T = TypeVar("T")

BEAT_NS: Final = 100_000_000
BEATS: Final = 3
COMMENT: Final = b": keep-alive\n\n"
EVENTS_PER_WRITE: Final = 4
TOKENS_PER_CHUNK: Final = 3
LARGE: Final = 1 << 20
TOO_LARGE: Final = 9 << 20


def framed(made: Callable[[Scene], Iterable[Piece]], texts: Sequence[str] = (), **how: Any) -> Callable[[Scene], Score]:
    """A stream of these pieces, which tell their usage, with texts of its own where there are any."""

    def play(scene: Scene) -> Score:
        spoken = scene.saying(texts) if texts else scene
        return streamed(spoken, made(spoken), tokens=told(spoken, USUAL), **how)

    return play


def usual(scene: Scene) -> list[Piece]:
    """The events of the usual stream."""
    return pieces_of(beats(scene))


# Lines.


def crlf(number: int, value: Any) -> bytes:
    """Lines end with CR LF."""
    return sse(number, value).replace(b"\n", b"\r\n")


def cr(number: int, value: Any) -> bytes:
    """Lines end with CR alone."""
    return sse(number, value).replace(b"\n", b"\r")


def tight(_number: int, value: Any) -> bytes:
    """No space after the colon."""
    return b"data:" + sse(0, value)[6:]


def lined(_number: int, value: Any) -> bytes:
    """JSON over several lines, each with its "data:"."""
    if isinstance(value, bytes):
        return sse(0, value)
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    return b"".join(b"data: %b\n" % line for line in text.split(b"\n")) + b"\n"


def labelled(number: int, value: Any) -> bytes:
    """With fields that mean nothing to a chat: id, retry, one that no standard knows, and a comment."""
    return b"id: %d\nretry: 3000\n: note\nnoise\n%b" % (number, sse(number, value))


def pinged(number: int, value: Any) -> bytes:
    """A ping before each event: one with a payload, one with an empty one, one without."""
    ping = (b'event: ping\ndata: {"type":"ping"}\n\n', b"event: ping\ndata: \n\n", b"data\n\n")[number % 3]
    return ping + sse(number, value)


def _apart(scene: Scene) -> Iterator[Piece]:
    for at_ns, data, said in pieces_of(beats(scene), crlf):
        line = data.removesuffix(b"\r\n\r\n")
        yield Piece(at_ns, line + b"\r")
        yield Piece(at_ns, b"\n\r", said)
        yield Piece(at_ns, b"\n")


def _bom(scene: Scene) -> list[Piece]:
    first, *rest = usual(scene)
    return [first._replace(data=b"\xef\xbb\xbf" + first.data), *rest]


# Comments.


def _commented(scene: Scene) -> list[Piece]:
    """Comments each 100 ms: before the first token, and between the last and the end."""
    made = usual(scene.later(BEATS * BEAT_NS))
    end_ns = made[-1].at_ns
    before = [Piece(place * BEAT_NS, COMMENT) for place in range(BEATS)]
    after = [Piece(end_ns + (1 + place) * BEAT_NS, b": OPENROUTER PROCESSING\n\n") for place in range(BEATS)]
    cut = max(place for place, piece in enumerate(made) if piece.said) + 1
    closing = [piece._replace(at_ns=end_ns + (BEATS + 1) * BEAT_NS) for piece in made[cut:]]
    return [*before, *made[:cut], *after, Piece(after[-1].at_ns, b":\n\n"), *closing]


# Writes.


def _bytewise(scene: Scene) -> Score:
    score = played(scene)
    single = [
        Piece(piece.at_ns, piece.data[place : place + 1], piece.said if place == len(piece.data) - 1 else ())
        for piece in score.pieces
        for place in range(len(piece.data))
    ]
    return replace(score, pieces=tuple(single))


def _emoji(scene: Scene) -> Iterator[Piece]:
    """Each event in two writes, the first of which ends inside a character of four bytes."""
    for at_ns, data, said in usual(scene):
        cut = data.find(b"\xf0") + 2 if b"\xf0" in data else 0
        yield from (Piece(at_ns, data[:cut]), Piece(at_ns, data[cut:], said)) if cut else (Piece(at_ns, data, said),)


def batched(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Stretches of so many."""
    return [items[at : at + size] for at in range(0, len(items), size)]


def _joined(scene: Scene, many: int) -> Iterator[Piece]:
    """So many events in each write, when the last of them is due."""
    for group in batched(usual(scene), many):
        yield Piece(group[-1].at_ns, b"".join(p.data for p in group), tuple(s for p in group for s in p.said))


def _in_fours(scene: Scene) -> list[Piece]:
    return list(_joined(scene, EVENTS_PER_WRITE))


def _all_at_once(scene: Scene) -> list[Piece]:
    return list(_joined(scene, len(usual(scene))))


def _thick(scene: Scene) -> list[Piece]:
    """Chunks of several tokens: fewer chunks than tokens, at the moment of the last of theirs."""
    play = scene.play
    texts = ["".join(group) for group in batched(play.texts, TOKENS_PER_CHUNK)]
    offsets_ns = [group[-1] for group in batched(play.offsets_ns, TOKENS_PER_CHUNK)]
    return usual(replace(scene, play=replace(scene.play, texts=tuple(texts), offsets_ns=tuple(offsets_ns))))


# Texts.


EMOJI: Final = ("🙂", " 🚀🚀", "𝄞")
SEPARATORS: Final = ("one\u2028two", " three\x85four", " five\u2029six", "\u2028", "\x85")


def _too_large(scene: Scene) -> Score:
    """Only what comes before the event can be heard."""
    made = usual(scene.saying([" first", "x" * TOO_LARGE, " last"]))
    heard = next(place for place, piece in enumerate(made) if len(piece.data) > LARGE)
    return streamed(scene, [*made[:heard], *(piece._replace(said=()) for piece in made[heard:])])


def _not_utf8(scene: Scene) -> Score:
    made = usual(scene)
    broken = next(place for place, piece in enumerate(made) if piece.said)
    data = made[broken].data.replace(b'"content":"', b'"content":"\xff\xc3')
    made[broken] = Piece(made[broken].at_ns, data, (("content", "\ufffd\ufffd" + scene.play.texts[0]),))
    return streamed(scene, made, tokens=told(scene, USUAL))


def _deep(scene: Scene) -> Score:
    """Arrays in arrays, deeper than parsers go, beside a chunk's usual keys."""
    made = usual(scene)
    deep = b'data: {"choices":[],"deep":' + b"[" * 5000 + b"]" * 5000 + b"}\n\n"
    return streamed(scene, [*made[:2], Piece(made[1].at_ns, deep), *made[2:]], tokens=told(scene, USUAL))


def _ndjson(scene: Scene) -> Score:
    made = [p._replace(data=p.data[6:-1]) for p in usual(scene) if DONE not in p.data]
    return streamed(scene, made, fields=[("Content-Type", "application/x-ndjson")], tokens=told(scene, USUAL))


FRAMING: Final = (
    fine("named_events", "LLM Gateway: event: chunk / done with ids, usage in a chunk with a choice", NAMED),
    fine("crlf", "lines end with CR LF", Manner(frame=crlf)),
    fine("lone_cr", "lines end with CR alone", Manner(frame=cr)),
    fine("cr_lf_apart", "CR and LF of each line end in different writes", framed(_apart, is_apart=True)),
    fine("no_space", "no space after data:", Manner(frame=tight)),
    fine("multi_line", "JSON over several data: lines", Manner(frame=lined)),
    fine("fields", "id:, retry:, comments and unknown fields in each event", Manner(frame=labelled)),
    fine("pings", "event: ping and empty data before each event", Manner(frame=pinged)),
    fine("comments", "comments every 100 ms before the first token and after the last", framed(_commented)),
    fine("bom", "a byte order mark before the first event", framed(_bom)),
    fine("byte_writes", "every byte of the response is a write", _bytewise),
    fine("emoji_split", "writes end inside characters of four bytes", framed(_emoji, EMOJI, is_apart=True)),
    fine("separators", "U+2028, U+2029 and NEL inside content, not escaped", framed(usual, SEPARATORS)),
    fine("events_per_write", f"{EVENTS_PER_WRITE} events in each write", framed(_in_fours)),
    fine("tokens_per_chunk", f"{TOKENS_PER_CHUNK} tokens in each chunk", framed(_thick)),
    fine(
        "proxy_buffered", "a proxy holds it all back to the end: one write", framed(_all_at_once), flags=("buffered",)
    ),
    fine("large_event", "one event of 1 MiB", framed(usual, (" first", "x" * LARGE, " last"))),
    fails("too_large_event", "one event of more than 8 MiB", _too_large, "bad_body", flags=("no_done",)),
    fine("invalid_utf8", "bytes inside content that are no UTF-8: U+FFFD", _not_utf8, flags=("bad_utf8",)),
    fails("deep_json", "an event nested 5,000 levels deep", _deep, "bad_body", finish_reason="stop"),
    fine("ndjson", "a JSON object a line, no data: and no [DONE]", _ndjson, flags=("no_done", "not_sse")),
)
