"""The mock's scenarios read by our own reader: the writes of an answer in, the row out, beside the scenario's truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from loadtests import clock, columns, profiles
from loadtests.dialect import Answer
from loadtests.errors import Failure
from loadtests.mock.scenarios import SCENARIOS, scene
from loadtests.reader import Reader
from loadtests.record import CONTENT, ERROR_KINDS, FLAGS, REASONING, REFUSAL, TOOL, Record
from loadtests.wire.exchange import Exchange
from loadtests.wire.stamps import NO_STAMP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loadtests.mock.scenarios import Scenario
    from loadtests.mock.score import Score
    from loadtests.profiles import Profile

Reads = "Iterable[tuple[int, bytes]]"
Case = tuple[str, bool]

CASES: Final[list[Case]] = [(name, s) for name, row in SCENARIOS.items() for s in (True, False) if row.fits(s)]
READ_BYTES: Final = 16 << 10
"""As much as the receiver takes from a socket at once."""

KINDS: Final = {"content": CONTENT, "reasoning": REASONING, "tool": TOOL, "refusal": REFUSAL}
VLLM: Final = profiles.load("vllm")
MAPPED: Final = {"usage_groq": profiles.load("groq"), "usage_timings": profiles.load("llamacpp")}
"""Scenarios whose counts are where only a profile says that they are."""

PATIENCE_NS: Final = 1 << 50


def score_of(case: Case, now_s: int | None = None) -> Score:
    """What goes out for a request of now, or of this unix second: some waits are told as a moment."""
    created_s = clock.realtime_ns() // 1_000_000_000 if now_s is None else now_s
    return SCENARIOS[case[0]].play(scene(stream=case[1], created_s=created_s))


def profile_of(case: Case) -> Profile:
    """Whose answer it is."""
    return MAPPED.get(case[0], VLLM)


def case_id(case: Case) -> str:
    """Its name as a test."""
    return f"{case[0]}-{'stream' if case[1] else 'plain'}"


def timed(score: Score) -> list[tuple[int, bytes]]:
    """Its writes as reads, each with the moment at which it is due as its stamp."""
    return [
        (at_ns, data[at : at + READ_BYTES]) for at_ns, data, _ in score.pieces for at in range(0, len(data), READ_BYTES)
    ]


def row_of(
    reads: Iterable[tuple[int, bytes]], ending: str, *, stream: bool, n: int | None = 1, profile: Profile = VLLM,
    waits: Callable[[], bool] = bool, cut_at: int | None = None, model: str = "mock",
) -> Record:  # fmt: skip
    """
    The row of an answer that came in these reads.

    Args:
        reads: Stamp and bytes.
        ending: What then becomes of the connection, as a `Score` says it.
        stream: A stream was asked for.
        n: Choices that were asked for.
        profile: Whose it is.
        waits: Whether a read that may wait to be framed does; without it none does.
        cut_at: Output tokens after which the client wants no more.
        model: The one that was asked for.
    """
    reader = Reader(Answer(profile, n=n, cut_at=cut_at))
    exchange = Exchange(
        reader.choose, first_byte_ns=PATIENCE_NS, silence_ns=PATIENCE_NS, total_ns=9 * PATIENCE_NS, started_ns=0
    )
    exchange.eager = cut_at is not None
    exchange.sent_ns = at_ns = 0
    for at_ns, data in reads:
        if data and (exchange.append(data, NO_STAMP, at_ns) or not waits()):
            exchange.parse(0, 0)
        if exchange.over:
            break
    exchange.parse(0, 0)
    _end(exchange, ending, at_ns)
    record = Record("a", "chat", 0, 0, "measure", stream=stream, scheduled_ns=0, sent_ns=0)
    columns.wire_facts(record, exchange, profile)
    columns.judge(record, exchange, reader, model, [])
    exchange.release()
    assert set(record.flags or ()) <= set(FLAGS)
    assert record.error_kind in {None, *ERROR_KINDS}
    return record


def _end(exchange: Exchange, ending: str, at_ns: int) -> None:
    """What the rest of the wire tells an exchange when its connection ends so."""
    if ending == "reset":
        exchange.fail(Failure("reset", "ECONNRESET"), at_ns)
    elif ending == "stall" and (failure := exchange.expired(at_ns + 2 * PATIENCE_NS)) is not None:
        exchange.fail(failure, at_ns)
    exchange.append(b"", NO_STAMP, at_ns)
    exchange.parse(0, 0)
    assert exchange.over


def truth(row: Scenario, score: Score) -> dict[str, Any]:
    """What a client that reads well says of a scenario."""
    return {
        "outcome": row.outcome,
        "error_kind": row.error_kind,
        "status": row.status,
        "finish_reason": row.finish_reason,
        "flags": set(row.flags),
        "output_chars": score.characters,
        "retry_after_s": row.retry_after_s,
    }


def told(record: Record) -> dict[str, Any]:
    """The same of a record."""
    names = ("outcome", "error_kind", "status", "finish_reason")
    return {name: getattr(record, name) for name in names} | {
        "flags": set(record.flags or ()),
        "output_chars": record.output_chars or 0,
        "retry_after_s": record.retry_after_s,
    }
