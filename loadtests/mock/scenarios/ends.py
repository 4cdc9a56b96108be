"""Ends: how an answer stops, whether it had ended or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.answer import GARBAGE, GATEWAY_PAGE
from loadtests.mock.manner import DONE, USUAL, Manner, beats, sse
from loadtests.mock.scenarios.framing import BEAT_NS, COMMENT, usual
from loadtests.mock.scenarios.scenario import BOTH, PLAIN, fails, fine
from loadtests.mock.score import Piece, Score, body, chunked, pieces_of, played, streamed, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.mock.scene import Scene

KEEP_ALIVES: Final = 600
"""A minute of them, then silence."""

NO_DONE: Final = {"flags": ("no_done",)}


def half(scene: Scene) -> list[Piece]:
    """The events up to half of the tokens."""
    made = usual(scene)
    spoken = [place for place, piece in enumerate(made) if piece.said]
    return made[: spoken[(len(spoken) - 1) // 2] + 1]


def _last(data: bytes) -> Callable[[int, Any], bytes]:
    """[DONE] as these bytes."""

    def frame(number: int, value: Any) -> bytes:
        return data if value == DONE else sse(number, value)

    return frame


def _unterminated(scene: Scene) -> Score:
    """The last chunk, with the finish reason, lacks its blank line, and nothing follows."""
    made = pieces_of(beats(scene, Manner(usage="none", done=False)))
    return streamed(scene, [*made[:-1], made[-1]._replace(data=made[-1].data[:-2])])


def _half(ending: str = "keep") -> Callable[[Scene], Score]:
    def play(scene: Scene) -> Score:
        return streamed(scene, half(scene), ending=ending)

    return play


def _reset(scene: Scene) -> Score:
    """Half of the tokens, half an event, RST."""
    made = half(scene)
    broken = Piece(made[-1].at_ns, made[-1].data[:40])
    return streamed(scene, [*made, broken], ending="reset")


def _cut_short(ending: str) -> Callable[[Scene], Score]:
    """Half of a body whose length was told."""

    def play(scene: Scene) -> Score:
        head, blank, rest = b"".join(played(scene).writes).partition(b"\r\n\r\n")
        return Score((Piece(scene.last_ns, head + blank + rest[: len(rest) // 2]),), ending)

    return play


def _kept_alive(scene: Scene) -> Score:
    """Half of the tokens, then nothing but comments."""
    made = half(scene)
    comments = [Piece(made[-1].at_ns + (1 + place) * BEAT_NS, COMMENT) for place in range(KEEP_ALIVES)]
    return streamed(scene, [*made, *comments], ending="stall")


def _silent(ending: str) -> Callable[[Scene], Score]:
    """Not a byte."""
    return lambda scene: Score((Piece(scene.first_ns, b""),), ending)


def _only(data: bytes, ending: str = "cut") -> Callable[[Scene], Score]:
    """These bytes where a response belongs."""
    return lambda scene: Score((Piece(scene.first_ns, data),), ending)


def _after_all(scene: Scene) -> Score:
    """More events after [DONE]."""
    made = usual(scene)
    more = [Piece(made[-1].at_ns, sse(0, scene.chunk({"content": "late"}))), Piece(made[-1].at_ns, b": bye\n\n")]
    return streamed(scene, [*made, *more], tokens=told(scene, USUAL))


def _no_last_chunk(scene: Scene) -> Score:
    """All is said; the connection closes in place of the body's end."""
    return streamed(scene, usual(scene), ending="cut", tokens=told(scene, USUAL))


def _broken_event(scene: Scene) -> Score:
    """One event in the middle that is no JSON."""
    made = usual(scene)
    broken = Piece(made[2].at_ns, b'data: {"choices":[{"delta":{"content":"\n\n')
    return streamed(scene, [*made[:3], broken, *made[3:]], tokens=told(scene, USUAL))


def _other_json(text: bytes) -> Callable[[Scene], Score]:
    """A whole answer that is no answer."""
    return lambda scene: body(scene, text, [("Content-Type", "application/json")])


def _page(scene: Scene) -> Score:
    """A page with the status of an answer."""
    return body(scene, GATEWAY_PAGE, [("Content-Type", "text/html")])


def _bad_chunk(scene: Scene) -> Score:
    """A chunk whose size is no number."""
    made = half(scene)
    score = streamed(scene, made, ending="cut")
    return Score((*score.pieces, Piece(made[-1].at_ns, b"zz\r\n" + chunked(b"x"))), "cut")


ENDS: Final = (
    fine("no_done", "finish_reason, but no [DONE]", Manner(done=False), **NO_DONE),
    fine("done_without_blank_line", "[DONE] without the blank line after it", Manner(frame=_last(b"data: [DONE]\n")),
         flags=("unterminated",)),
    fine("done_without_line_end", "[DONE] without any line end", Manner(frame=_last(b"data: [DONE]")),
         flags=("unterminated",)),
    fine("finish_without_blank_line", "the stream ends inside its last event, which is whole", _unterminated,
         flags=("unterminated", "no_done")),
    fine("after_done", "a chunk and a comment after [DONE]", _after_all),
    fine("no_last_chunk", "[DONE], then the connection closes without the end of the body", _no_last_chunk,
         flags=("unterminated",)),
    fails("done_no_finish", "[DONE] without finish_reason", Manner(finish="none"), "no_finish"),
    fails("eof_no_finish", "all tokens, then a clean end: no finish_reason, no [DONE]",
          Manner(finish="none", done=False), "truncated", **NO_DONE),
    fails("eof_mid_stream", "half of the tokens, then a clean end", _half(), "truncated", **NO_DONE),
    fails("cut", "half of the tokens, then it closes", _half("cut"), "truncated", **NO_DONE),
    fails("reset", "RST in the middle of an event", _reset, "reset", **NO_DONE),
    fails("reset_at_once", "RST in place of an answer", _silent("reset"), "reset", status=None, asked=BOTH),
    fails("close_at_once", "the connection closes in place of an answer", _silent("cut"), "reset", status=None,
          asked=BOTH),
    fails("stall", "half of the tokens, then silence", _half("stall"), "timeout_silence", **NO_DONE),
    fails("plain_cut", "half of a whole answer, then it closes", _cut_short("cut"), "truncated", asked=PLAIN),
    fails("plain_reset", "half of a whole answer, then RST", _cut_short("reset"), "reset", asked=PLAIN),
    fails("plain_stall", "half of a whole answer, then silence", _cut_short("stall"), "timeout_silence", asked=PLAIN),
    fails("stall_kept_alive", "half of the tokens, then comments each 100 ms and nothing else", _kept_alive,
          "timeout_silence", **NO_DONE),
    fails("no_answer", "not a byte comes", _silent("stall"), "timeout_first_byte", status=None, asked=BOTH),
    fails("bad_json", "an event in the middle that is no JSON", _broken_event, "bad_body", finish_reason="stop"),
    fails("bad_chunk_size", "a chunk whose size is no number", _bad_chunk, "protocol", **NO_DONE),
    fails("junk", "bytes that are not HTTP", _only(GARBAGE), "protocol", status=None, asked=BOTH),
    fails("plain_no_json", "a whole answer that is half of a JSON text", _other_json(b'{"choices":['), "bad_body",
          asked=PLAIN),
    fails("plain_array", "a whole answer that is an array", _other_json(b"[1,2]"), "bad_body", asked=PLAIN),
    fails("plain_nothing", "a whole answer of no bytes", _other_json(b""), "bad_body", asked=PLAIN),
    fails("plain_page", "status 200 with a page in HTML", _page, "bad_body", asked=PLAIN),
)  # fmt: skip
