"""HTTP: the same answer in every envelope that servers, gateways and proxies put it into."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING, Final

import orjson

from loadtests.mock.answer import JSON, LAST_CHUNK
from loadtests.mock.manner import USUAL, completion
from loadtests.mock.scenarios.framing import BEAT_NS, BEATS, framed, usual
from loadtests.mock.scenarios.scenario import BOTH, PLAIN, fine
from loadtests.mock.score import PLAIN as JSON_TYPE
from loadtests.mock.score import STREAM, Piece, Score, chunked, head, played, raw, spoken, streamed, told, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadtests.mock.manner import Said
    from loadtests.mock.scene import Scene
    from loadtests.mock.score import Field

HUGE: Final = "x" * 60_000
EARLY: Final = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED: Final = ("Transfer-Encoding", "chunked")
GZIP: Final = ("Content-Encoding", "gzip")


def _json(scene: Scene) -> bytes:
    return orjson.dumps(completion(scene))


def _json_for_stream(scene: Scene) -> Score:
    return whole(scene, completion(scene), said=spoken(scene), tokens=scene.tokens)


def _plain(scene: Scene, data: bytes, fields: Sequence[Field], ending: str = "keep", version: str = "1.1") -> Score:
    """A whole answer as these bytes, under this head."""
    piece = Piece(scene.last_ns, data, spoken(scene))
    return raw(scene, head(scene, fields, version=version), [piece], ending=ending, tokens=scene.tokens)


def _waited(scene: Scene) -> Score:
    """Blank lines each 100 ms, then the JSON."""
    blank = [Piece(place * BEAT_NS, chunked(b"\n")) for place in range(BEATS)]
    at_ns = max(scene.last_ns, BEATS * BEAT_NS)
    last = Piece(at_ns, chunked(b"\r\n" + _json(scene)) + LAST_CHUNK, spoken(scene))
    return raw(scene, head(scene, [*JSON_TYPE, CHUNKED]), [*blank, last], tokens=scene.tokens)


def _until_close(version: str = "1.1") -> Callable[[Scene], Score]:
    """A body without length, ended by the connection's."""

    def play(scene: Scene) -> Score:
        is_stream = scene.voice.ask.stream
        fields = [*(STREAM if is_stream else JSON_TYPE), ("Connection", "close")]
        if not is_stream:
            return _plain(scene, _json(scene), fields, "close", version)
        opening = head(scene, fields, version=version)
        return raw(scene, opening, usual(scene), ending="close", tokens=told(scene, USUAL))

    return play


def _gzipped(flush: int) -> Callable[[Scene], list[Piece]]:
    """The events through a compressor that is flushed after each, or (0) not before the end."""

    def made(scene: Scene) -> list[Piece]:
        press = zlib.compressobj(wbits=31)
        pieces: list[Piece] = []
        waiting: list[Said] = []
        for at_ns, data, said in usual(scene):
            waiting += said
            out = press.compress(data) + (press.flush(flush) if flush else b"")
            if flush:
                pieces.append(Piece(at_ns, out, tuple(waiting)))
                waiting.clear()
            else:
                pieces.append(Piece(at_ns, out))
        end = Piece(pieces[-1].at_ns, press.flush(zlib.Z_FINISH), tuple(waiting))
        return [piece for piece in (*pieces, end) if piece.data]

    return made


def _gzip_json(scene: Scene) -> Score:
    data = gzip.compress(_json(scene), mtime=0)
    return _plain(scene, data, [*JSON_TYPE, GZIP, ("Content-Length", str(len(data)))])


def _transfer_gzip(scene: Scene) -> Score:
    made = _gzipped(zlib.Z_SYNC_FLUSH)(scene)
    pieces = [piece._replace(data=chunked(piece.data)) for piece in made]
    pieces.append(Piece(made[-1].at_ns, LAST_CHUNK))
    return raw(scene, head(scene, [*STREAM, ("Transfer-Encoding", "gzip, chunked")]), pieces, tokens=told(scene, USUAL))


def _before(data: bytes) -> Callable[[Scene], Score]:
    """The usual response after these bytes, which go out at once."""

    def play(scene: Scene) -> Score:
        score = played(scene)
        return Score((Piece(0, data), *score.pieces), score.ending, score.tokens)

    return play


def _extended(scene: Scene) -> Score:
    """Chunks with extensions, and a trailer after the last."""
    pieces = [
        Piece(at_ns, b"%x;note=%b\r\n%b\r\n" % (len(data), b'"a b"', data), said) for at_ns, data, said in usual(scene)
    ]
    trailer = b"0;last\r\nX-Trailer: yes\r\nServer-Timing: total;dur=1\r\n\r\n"
    pieces.append(Piece(pieces[-1].at_ns, trailer))
    fields = [*STREAM, CHUNKED, ("Trailer", "X-Trailer, Server-Timing")]
    return raw(scene, head(scene, fields), pieces, tokens=told(scene, USUAL))


def _huge_head(scene: Scene) -> Score:
    return played(scene, USUAL, [("X-Huge", HUGE)])


def _other_type(kind: str) -> Callable[[Scene], Score]:
    return framed(usual, fields=[("Content-Type", kind)] if kind else [])


def _plain_other_type(scene: Scene) -> Score:
    data = _json(scene)
    return _plain(scene, data, [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])


def _bom(scene: Scene) -> Score:
    data = b"\xef\xbb\xbf" + _json(scene)
    return _plain(scene, data, [("Content-Type", JSON), ("Content-Length", str(len(data)))])


def _sse_for_plain(scene: Scene) -> Score:
    return streamed(scene, usual(scene), tokens=told(scene, USUAL))


TRANSFER: Final = (
    fine("json_for_stream", "one JSON object where a stream was asked for", _json_for_stream, flags=("not_streamed",)),
    fine("stream_for_plain", "a stream where it wasn't asked for", _sse_for_plain, asked=PLAIN,
         flags=("streamed_unasked",)),
    fine("no_content_type", "a stream without Content-Type", _other_type("")),
    fine("text_plain", "a stream as text/plain", _other_type("text/plain; charset=utf-8")),
    fine("odd_content_type", "Text/Event-Stream;charset=UTF-8", _other_type("Text/Event-Stream;charset=UTF-8")),
    fine("plain_text_plain", "JSON as text/plain", _plain_other_type, asked=PLAIN),
    fine("blank_lines", "DeepSeek: blank lines each 100 ms before the JSON", _waited, asked=PLAIN),
    fine("plain_bom", "JSON behind a byte order mark", _bom, asked=PLAIN),
    fine("until_close", "no length: the body ends with the connection", _until_close(), asked=BOTH),
    fine("http_1_0", "HTTP/1.0: the body ends with the connection", _until_close("1.0"), asked=BOTH),
    fine("gzip", "a stream in gzip, flushed after each event",
         framed(_gzipped(zlib.Z_SYNC_FLUSH), fields=[*STREAM, GZIP]), flags=("compressed",)),
    fine("gzip_unflushed", "a stream in gzip that is flushed at its end alone",
         framed(_gzipped(0), fields=[*STREAM, GZIP]), flags=("buffered", "compressed")),
    fine("gzip_json", "a whole answer in gzip", _gzip_json, asked=PLAIN, flags=("compressed",)),
    fine("transfer_gzip", "Transfer-Encoding: gzip, chunked", _transfer_gzip, flags=("compressed",)),
    fine("early_hints", "103 Early Hints before the response", _before(EARLY), asked=BOTH),
    fine("continue", "100 Continue before the response, unasked", _before(CONTINUE), asked=BOTH),
    fine("interim", "several interim responses", _before(CONTINUE + EARLY + EARLY), asked=BOTH),
    fine("chunk_extensions", "chunk extensions and trailers", _extended),
    fine("huge_header", "a header of 60,000 bytes", _huge_head, asked=BOTH),
)  # fmt: skip
