"""
Bytes that nobody meant: scenarios of the mock damaged, JSON of every shape, noise; through the reader, to a row.

`python tests/fuzzing.py --seconds 600 --seed 1` goes on for ten minutes and prints what it did; a case that breaks a
rule is printed with its seed and number, which make it again. The rules: no exception, no hang, memory that stays
within bounds, a row that can be written, and the same row however the bytes were split.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import random
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa
from playing import CASES, READ_BYTES, row_of, score_of
from reading import facts

from loadtests import clock, errors, profiles, ratelimit
from loadtests.record import part_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.record import Record

HANG_S: Final = 60.0
"""Whatever takes longer is a hang: the process says where it is, and ends."""

CASE_S: Final = 2.0
MEGABYTE_S: Final = 2.0
"""A case may take so much time of this process, and so much more for each megabyte of it."""

MEMORY_BYTES: Final = 256 << 20
"""The peak of resident memory may grow by this much: a body may have 64 MiB, and be held twice while it is read."""

NOW_S: Final = 1_700_000_000
"""The moment at which all scenarios are played, so that a seed always makes the same cases."""

PROFILES: Final = ("vllm", "openai", "meingpt", "8080", "morpheus", "groq", "llamacpp", "gemini")
TYPES: Final = (
    b"text/event-stream", b"application/json", b"text/html; charset=utf-8", b"text/plain", b"application/x-ndjson",
    b"TEXT/Event-Stream;x", b"", b"\xff\xfe",
)  # fmt: skip
STATUSES: Final = (
    200,
    200,
    200,
    200,
    201,
    204,
    206,
    301,
    304,
    400,
    401,
    402,
    404,
    408,
    422,
    429,
    498,
    500,
    503,
    524,
    999,
)
WORDS: Final = (
    b"data: ", b"data:", b"event: error\n", b"event: done\n", b"event: ping\n", b"error: {", b"id: 1\n", b": c\n",
    b"\n\n", b"\r\n\r\n", b"\r", b"[DONE]", b"data: [DONE]\n\n", b"{", b"}", b"[", b"]", b'"', b"\\", b"\\ud83c",
    b"\\u0000", b"null", b"NaN", b"-1", b"1e999", b"\xef\xbb\xbf", b"\xff", b"\xf0\x9f\x99\x82", b"\xe2\x80\xa8",
    b'"content":"', b'","', b'":"', b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"\0",
)  # fmt: skip
KEYS: Final = (
    "choices", "delta", "message", "content", "reasoning", "reasoning_content", "reasoning_details", "refusal",
    "tool_calls", "function", "function_call", "custom", "name", "arguments", "input", "index", "id", "type", "text",
    "thinking", "summary", "role", "finish_reason", "usage", "prompt_tokens", "completion_tokens",
    "completion_tokens_details", "reasoning_tokens", "cached_tokens", "error", "detail", "msg", "loc", "code",
    "param", "status", "object", "x_groq", "timings", "predicted_n", "usage_from_provider", "providerModelError",
    "http_status_code", "error_type", "model", "total_time", "retryDelay", "unknown",
)  # fmt: skip
TEXTS: Final = (
    "", " the", ",", ":", '","', "{", "größer", "🙂", "東京", "\u2028", "\x85", "error", "stop", "length", "[DONE]",
    "None", "try again in 5.289s", "12", "content_filter", "insufficient_quota", "a\nb", "thinking", "abort", "\x00",
    "x" * 300,
)  # fmt: skip


class BrokenRuleError(AssertionError):
    """A case for which one of the rules does not hold."""


@dataclass(frozen=True, slots=True)
class Case:
    """
    One answer, and how it is asked for.

    Attributes:
        kind: How it was made.
        data: All of its bytes.
        ending: What becomes of the connection then.
        asked: How it is read: arguments of `row_of`.
        draws: The splits.
    """

    kind: str
    data: bytes
    ending: str
    asked: dict[str, Any]
    draws: random.Random


@dataclass(slots=True)
class Tally:
    """What was done."""

    cases: int = 0
    bytes: int = 0
    slowest_s: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


# Making cases.


def case_of(seed: int, number: int) -> Case:
    """The case of this number."""
    draws = random.Random(f"{seed}:{number}")
    (kind,) = draws.choices(list(MAKERS), WEIGHTS)
    asked = {
        "stream": draws.random() < 0.7,
        "n": draws.choice((1, 1, 2, None)),
        "cut_at": draws.choice((None, None, 1, 5)),
        "profile": profile(draws.choice(PROFILES)),
    }
    return Case(kind, MAKERS[kind](draws), draws.choice(("close", "reset", "stall")), asked, draws)


@cache
def profile(name: str) -> profiles.Profile:
    """A profile, read once."""
    return profiles.load(name)


@cache
def scenario(place: int) -> bytes:
    """All bytes of a scenario; of the huge ones, those that lie around the hugeness."""
    data = b"".join(score_of(CASES[place], NOW_S).writes)
    return data if len(data) < 200_000 else data[:2000] + data[-2000:]


def damaged_scenario(draws: random.Random) -> bytes:
    """A response of the mock, HTTP and all, with some damage."""
    return damaged(draws, scenario(draws.randrange(len(CASES))))


def damaged_body(draws: random.Random) -> bytes:
    """A damaged body in sound HTTP."""
    return wrapped(draws, damaged(draws, _body(draws)))


def shaped(draws: random.Random) -> bytes:
    """Events, lines or one body of JSON that has the right words at wrong places."""
    values = [orjson.dumps(tree(draws, 5)) for _ in range(draws.randrange(1, 8))]
    before, after = draws.choice(
        ((b"data: ", b"\n\n"), (b"", b"\n"), (b"", b","), (b"data:", b"\r\n\r\n"), (b"event: error\ndata: ", b"\n\n"))
    )
    body = b"".join(before + value + after for value in values)
    return wrapped(draws, body + draws.choice((b"", b"data: [DONE]\n\n", b"[DONE]")))


def chunks(draws: random.Random) -> bytes:
    """A stream of sound chunks, the texts and the order of their keys drawn: what a glance may take."""
    more = draws.choice(({}, {"obfuscation": "x7Tq9", "provider": "mock"}, {"usage": None}, {"x_groq": {"id": "a"}}))
    key = draws.choice(("content", "content", "reasoning_content", "refusal"))
    parts = []
    for _ in range(draws.randrange(1, 40)):
        delta = {key: draws.choice(TEXTS)} if draws.random() < 0.95 else tree(draws, 3)
        value = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more}
        parts.append(b"data: %b\n\n" % orjson.dumps(dict(draws.sample(list(value.items()), len(value)))))
    parts.append(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def noise(draws: random.Random) -> bytes:
    """Random bytes and words, in sound HTTP of any type and status."""
    return wrapped(draws, b"".join(_word(draws) for _ in range(draws.randrange(60))))


def noise_alone(draws: random.Random) -> bytes:
    """Random bytes where a response belongs, often behind a status line."""
    begin = draws.choice(
        (b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    )
    return begin + b"".join(_word(draws) for _ in range(draws.randrange(40)))


MAKERS: Final[dict[str, Callable[[random.Random], bytes]]] = {
    made.__name__: made for made in (damaged_scenario, damaged_body, shaped, chunks, noise, noise_alone)
}
WEIGHTS: Final = (3, 4, 4, 4, 2, 1)


def _body(draws: random.Random) -> bytes:
    """The body of a scenario, its framing taken off as well as that goes."""
    body = scenario(draws.randrange(len(CASES))).partition(b"\r\n\r\n")[2]
    lines = body.split(b"\r\n")
    return b"".join(lines[1::2]) if len(lines) > 2 else body


def _word(draws: random.Random) -> bytes:
    return draws.choice(WORDS) if draws.random() < 0.6 else draws.randbytes(draws.randrange(1, 12))


def damaged(draws: random.Random, data: bytes) -> bytes:
    """The bytes after a few flips, drops, repetitions, splices, insertions or a cut."""
    made = bytearray(data)
    for _ in range(draws.randrange(1, 5)):
        at = draws.randrange(len(made) + 1)
        end = min(len(made), at + draws.choice((1, 3, 20, 200)))
        match draws.randrange(6):
            case 0 if at < len(made):
                made[at] ^= 1 << draws.randrange(8)
            case 1:
                del made[at:end]
            case 2:
                made[at:at] = made[at:end] * draws.choice((1, 1, 3))
            case 3:
                other = scenario(draws.randrange(len(CASES)))
                start = draws.randrange(len(other) + 1)
                made[at:end] = other[start : start + draws.choice((10, 100, 1000))]
            case 4:
                made[at:at] = _word(draws)
            case 5 if draws.random() < 0.3:
                del made[at:]
    return bytes(made)


def wrapped(draws: random.Random, body: bytes) -> bytes:
    """The body of a response: in chunks, of known length or up to the end, plain or compressed."""
    fields = [b"Content-Type: " + draws.choice(TYPES)] if draws.random() < 0.9 else []
    if draws.random() < 0.15:
        fields += [b"Retry-After: " + orjson.dumps(draws.choice((*TEXTS, 7, -1, 1e300))).replace(b"\n", b"")]
    if draws.random() < 0.1:
        body = gzip.compress(body * draws.choice((1, 1, 20)), mtime=0)
        body = damaged(draws, body) if draws.random() < 0.5 else body
        fields += [draws.choice((b"Content-Encoding: gzip", b"Content-Encoding: deflate", b"Content-Encoding: br"))]
    match draws.randrange(4):
        case 0:
            fields += [b"Content-Length: %d" % (len(body) + draws.choice((0, 0, 0, 5)))]
        case 1:
            fields += [b"Connection: close"]
        case _:
            fields += [b"Transfer-Encoding: chunked"]
            size = draws.choice((1, 7, 100, 100_000))
            pieces = [body[at : at + size] for at in range(0, len(body), size)]
            body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    return b"HTTP/1.1 %d What\r\n%b\r\n\r\n%b" % (draws.choice(STATUSES), b"\r\n".join(fields), body)


def tree(draws: random.Random, depth: int) -> Any:
    """A JSON value of the words that answers are made of."""
    kind = draws.randrange(9) if depth else draws.randrange(6, 9)
    if kind < 4:
        return {draws.choice(KEYS): tree(draws, depth - 1) for _ in range(draws.randrange(5))}
    if kind == 4:
        choice = {
            "index": draws.choice((0, 1, -1, "0", None)),
            draws.choice(("delta", "message")): tree(draws, depth - 1),
        }
        return {"choices": [choice | {"finish_reason": draws.choice((None, "stop", 3, "", "error", []))}]}
    if kind == 5:
        return [tree(draws, depth - 1) for _ in range(draws.randrange(4))]
    if kind == 6:
        return draws.choice(TEXTS)
    return draws.choice((None, True, False, 0, 1, -1, 7, 1.5, 1e300, 2**53, 429))


# Judging them.


def check(case: Case) -> Record:
    """
    The row of a case, which keeps the rules.

    Raises:
        BrokenRuleError: It does not.
    """
    begin_s = time.process_time()
    rows = [row_of(reads, case.ending, waits=waits, **case.asked) for reads, waits in _splits(case)]
    _check_words(case)
    took_s = time.process_time() - begin_s
    if took_s > CASE_S + MEGABYTE_S * len(case.data) / 1e6:
        raise BrokenRuleError(f"{took_s:.1f} s for {len(case.data)} bytes")
    for row in rows[1:]:
        if (found := _facts(row)) != (expected := _facts(rows[0])):
            differ = {name: (value, found[name]) for name, value in expected.items() if value != found[name]}
            raise BrokenRuleError(f"split makes a difference: {differ}")
    for column in part_schema():
        pa.array([getattr(rows[0], column.name)], column.type)
    return rows[0]


def _facts(record: Record) -> dict[str, Any]:
    """What must be the same at every split; of a wait the decades alone, for one that is told as a moment passes."""
    found = facts(record)
    wait_s = found["retry_after_s"]
    return found | {"retry_after_s": None if wait_s is None else wait_s > 0 and len(str(int(wait_s + 60)))}


def _splits(case: Case) -> Iterator[tuple[Iterator[tuple[int, bytes]], Callable[[], bool]]]:
    """The bytes in reads as long as they come, then split at random, then the same with reads that wait."""
    ends = range(0, len(case.data), READ_BYTES)
    yield _reads(case.data, {*ends}), bool
    cuts = {case.draws.randrange(len(case.data) + 1) for _ in range(case.draws.choice((1, 5, 60)))}
    places = _line_ends(case.data) if case.draws.random() < 0.4 else cuts
    yield _reads(case.data, {*ends, *cuts}), bool
    yield _reads(case.data, {*ends, *places}), lambda: case.draws.random() < 0.8


def _line_ends(data: bytes) -> set[int]:
    """Where chunks of HTTP end, as servers write them."""
    return {at + 2 for at in range(len(data)) if data.startswith(b"\n\r\n", at - 1)}


def _reads(data: bytes, cuts: set[int]) -> Iterator[tuple[int, bytes]]:
    places = sorted({0, len(data), *cuts})
    return ((k * 1000, data[a:b]) for k, (a, b) in enumerate(pairwise(places), 1))


def _check_words(case: Case) -> None:
    """The readers of errors and limits by themselves: any bytes, any JSON, any header."""
    said = errors.read(case.data)
    explained = errors.explain(case.draws.choice(STATUSES), case.data)
    said.line.encode("utf-8", "surrogatepass")
    if explained.message != said.message:
        raise BrokenRuleError("explain and read tell different things")
    errors.read(tree(case.draws, 5))
    names = (
        b"retry-after",
        b"Retry-After-MS",
        b"x-ratelimit-reset-tokens",
        b"anthropic-ratelimit-x-reset",
        b"x-ratelimit-",
    )
    headers = {
        name: case.draws.choice((_word(case.draws), b"6m0s", b"1e400", b"9" * 40, case.data[:50])) for name in names
    }
    wait_s = ratelimit.wait_s(headers, case.data, 1.7e9)
    if wait_s is not None and not 0 <= wait_s < float("inf"):
        raise BrokenRuleError(f"a wait of {wait_s} s from {headers}")


def go_on(seed: int, seconds: float, most: int | None = None) -> Tally:
    """Check cases for so long, or so many of them."""
    tally, end_ns, before = Tally(), clock.monotonic_ns() + round(seconds * 1e9), _peak_bytes()
    while clock.monotonic_ns() < end_ns and (most is None or tally.cases < most):
        number = tally.cases
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        case = case_of(seed, number)
        begin_s = time.process_time()
        try:
            row = check(case)
            tally.ends[row.error_kind or row.outcome] += 1
        except Exception as error:  # noqa: BLE001  the finding itself
            tally.broken.append(f"seed {seed}, number {number} ({case.kind}): {type(error).__name__}: {error}")
        tally.slowest_s = max(tally.slowest_s, time.process_time() - begin_s)
        tally.cases += 1
        tally.bytes += len(case.data)
        tally.kinds[case.kind] += 1
    faulthandler.cancel_dump_traceback_later()
    if (grown := _peak_bytes() - before) > MEMORY_BYTES:
        tally.broken.append(f"seed {seed}: memory grew by {grown >> 20} MiB")
    return tally


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    """Go on as long as the command line says, print what was found; 1 where a rule was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to go on (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="seed of all cases (%(default)s)")
    given = parser.parse_args()
    tally = go_on(given.seed, given.seconds)
    for line in tally.broken[:50]:
        print(line)  # noqa: T201
    print(  # noqa: T201
        f"{tally.cases} cases, {tally.bytes / 1e6:.1f} MB, slowest {tally.slowest_s * 1e3:.0f} ms,"
        f" broken {len(tally.broken)}\nmade: {dict(tally.kinds)}\nended: {dict(tally.ends.most_common())}"
    )
    return 1 if tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
