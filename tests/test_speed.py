"""A stream of known speed, from the bytes on the wire to the metrics: right whatever its chunks hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import playing
import pytest
import synthetic

from analysis import digest, measured, objectives, rows, rundir
from analysis.summary import judge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from analysis.rows import Row
    from loadtests import record

S = 1_000_000_000
SPEED = 100.0
"""Tokens per second, true."""

LETTERS = "abcdefghij"


def sizes(kind: int | str, tokens: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many tokens each chunk holds, so many in all; `random`: 1 to 8; `first`: 20 at once, then one by one."""
    if kind == "first":
        return np.array([20] + [1] * (tokens - 20))
    drawn = rng.integers(1, 9, tokens) if kind == "random" else np.full(tokens, int(kind))
    upto = np.minimum(np.cumsum(drawn), tokens)
    return np.diff(np.concatenate([[0], upto[: int(np.argmax(upto == tokens)) + 1]]))


def event(delta: dict[str, Any], **more: Any) -> bytes:
    told = {"id": "c", "object": "chat.completion.chunk", "model": "mock"}
    return b"data: " + orjson.dumps(told | {"choices": [{"index": 0, "delta": delta, **more}]}) + b"\n\n"


def reads(held: NDArray[np.int64], rng: np.random.Generator) -> Iterator[tuple[int, bytes]]:
    """Each chunk at the moment its last token is made; tokens of 1 to 8 characters. Then finish, usage and [DONE]."""
    at_ns = int(0.1 * S)
    yield at_ns, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    yield at_ns, event({"role": "assistant", "content": ""})
    for tokens in held:
        at_ns += int(tokens * S / SPEED)
        words = "".join(LETTERS[: int(length)] for length in rng.integers(1, 9, tokens))
        yield at_ns, event({"content": words})
    made = int(held.sum())
    usage = {"prompt_tokens": 7, "completion_tokens": made, "total_tokens": 7 + made}
    told = {"id": "c", "object": "chat.completion.chunk", "model": "mock", "choices": [], "usage": usage}
    last = event({}, finish_reason="stop") + b"data: " + orjson.dumps(told) + b"\n\ndata: [DONE]\n\n"
    yield at_ns + S // 1000, last


def answer(seq: int, kind: int | str, tokens: int) -> record.Record:
    """The row of an answer to the arrival of second 5 seq."""
    rng = np.random.default_rng(seq)
    row = playing.row_of(reads(sizes(kind, tokens, rng), rng), "close", stream=True, model="mock")
    assert (row.outcome, row.output_tokens, row.tokens_from) == ("ok", tokens, "usage")
    row.seq, row.started_ns = seq, 0
    for name in ("chunk_ns", "chunk_kind", "chunk_chars"):
        setattr(row, name, list(getattr(row, name)))
    synthetic.move(row, 5 * seq * S)
    return row


def by_name(found: tuple[Row, ...]) -> dict[str, Row]:
    return {row.metric: row for row in found if row.by is None}


@pytest.mark.parametrize("kind", [1, 4, "random", "first"])
def test_speed_is_that_of_the_tokens_whatever_a_chunk_holds(tmp_path: Path, kind: int | str) -> None:
    """
    Six answers of 400 to 500 tokens at 100 tokens/s, one each 5 s: TPOT 10 ms, speed 100/s, ITL 10 ms, within 1 %.

    Over the 30 s all tokens come while the window is open: 100/s x the share of the time in which one streams.
    """
    counts = [400, 420, 440, 460, 480, 480]
    every = [answer(seq, kind, tokens) for seq, tokens in enumerate(counts)]
    recipe = synthetic.Recipe(n=6, rate=0.2, stream_share=1.0)
    run = rundir.load(synthetic.write(tmp_path / "r", recipe, every))
    seen = measured.of(run, objectives.read(()))
    told = by_name(rows.rows_of(seen, (0.5,)))
    rate = digest.of(judge(run)).numbers

    assert seen.window.length_s == pytest.approx(30)
    assert told["tpot_s"].mean == pytest.approx(1 / SPEED, rel=0.01)
    assert told["tpot_s"].cells[0].value == pytest.approx(1 / SPEED, rel=0.01)
    assert told["tpot_s"].worst == pytest.approx(1 / SPEED, rel=0.01)
    assert told["output_speed"].mean == pytest.approx(SPEED, rel=0.01)
    assert told["itl_s"].mean == pytest.approx(1 / SPEED, rel=0.01)
    (tokens_per_s,) = [one.value for place, one in rate.items() if place.metric == "tokens_per_s"]
    assert tokens_per_s == pytest.approx(sum(counts) / 30, rel=0.01)


def test_a_gap_between_chunks_is_no_time_of_a_token(tmp_path: Path) -> None:
    """In fours: 40 ms from chunk to chunk, 10 ms a token."""
    run = rundir.load(synthetic.write(tmp_path / "r", synthetic.Recipe(n=1, rate=0.2), [answer(0, 4, 400)]))
    told = by_name(rows.rows_of(measured.of(run, objectives.read(())), (0.5,)))

    assert told["chunk_gap_s"].mean == pytest.approx(0.04)
    assert told["itl_s"].mean == pytest.approx(0.01, rel=0.01)
