"""The cases: what is offered to which server, and which figures follow."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from certificates import self_signed

from benchmarks import figures, processes, runs, truth
from benchmarks import scale as judging
from benchmarks.figures import Goal, Seen
from benchmarks.processes import limit_us
from benchmarks.runs import Load, offer, scratch, streams
from benchmarks.servers import embedded, serve
from loadtests.calibrate.play import Play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.runs import Run
    from benchmarks.servers import Server

FAST: Final = Play(0.1, 0.01, 100)
USERS: Final = 32
MANY: Final = 5000
LONG_USERS: Final = 300

FAR: Final = {
    "first token error p99, ms": Goal("<", 0.1), "token error p99, ms": Goal("<", 0.1),
    "gap error p99, ms": Goal("<", 0.1),
}  # fmt: skip
MAXIMA: Final = {
    "first token error max, ms": Goal("<", 2), "token error max, ms": Goal("<", 2), "gap error max, ms": Goal("<", 2),
    "tokens in shared reads, %": Goal("<", 0.1),
}  # fmt: skip
WHOLE: Final = {"rows lost, ": Goal("≤", 0), "token events lost, ": Goal("≤", 0)}
CHEAP: Final = {"CPU per event, x limit client": Goal("≤", 2.5)}
ACCURACY: Final = {
    100: FAR | MAXIMA | WHOLE,
    300: FAR | MAXIMA | WHOLE | CHEAP,
    600: FAR | WHOLE | CHEAP,
    1000: {name: Goal("<", 1) for name in FAR} | WHOLE,
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says: the compiled programs' commands, a run's seconds, how long and large runs are."""

    truth_server: Sequence[str] | None = None
    limit_client: Sequence[str] | None = None
    seconds: int = 10
    chunks: int = 3_000_000
    requests: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """One load of a case: how to measure it once, and what its figures are to reach."""

    name: str
    load: str
    measure: Callable[[], Seen]
    goals: dict[str, Goal] = field(default_factory=dict)


def select(names: Sequence[str], options: Options) -> Iterator[Case]:
    """The loads of these cases."""
    for name in names:
        yield from CASES[name](options)


# Streams whose stamps are held against the server's.


def accuracy(options: Options) -> Iterator[Case]:
    """Streams of 100 chunks/s, more and more of them."""
    for users, goals in ACCURACY.items():
        yield Case("accuracy", f"{users} streams", partial(_accuracy, options, users), goals)


def _accuracy(options: Options, users: int) -> Seen:
    limits = []
    with scratch() as folder:
        with serve(FAST, folder, options.truth_server) as server:
            limits += _limit(options, server, users)
            run = offer(server, streams(users, FAST.tokens, options.seconds), folder)
            limits += _limit(options, server, users)
        seen = _errors(run, server) | _served(run, server)
        return seen | _cost(run, options.seconds, limits) | {"checks that blame the client, ": run.blames_client()}


def _limit(options: Options, server: Server, users: int) -> list[float]:
    return [] if options.limit_client is None else [limit_us(options.limit_client, server.port, users)]


def _errors(run: Run, server: Server) -> Seen:
    """Errors against the server's log, and what is missing."""
    found = truth.errors(run.rows, server.sent, run.zero_ns)
    return {
        **figures.spread("first token error", "ms", found.first),
        **_p99(figures.spread("first token error on used connections", "ms", found.reused)),
        **figures.spread("token error", "ms", found.each),
        **figures.spread("gap error", "ms", found.gaps, has_p50=False),
        "tokens in shared reads, %": 100 * run.shared(),
        "rows lost, ": max(found.lost_rows, run.failed),
        "token events lost, ": found.lost_events,
    }


def _served(run: Run, server: Server) -> Seen:
    late = truth.lateness(run.rows, server.sent, FAST)
    return _p99(figures.spread("server late", "ms", late))


def _p99(seen: Seen) -> Seen:
    return {name: value for name, value in seen.items() if " p99, " in name}


def _cost(run: Run, seconds: int, limits: Sequence[float]) -> Seen:
    us, share = figures.cpu_per_event_us(run.client, run.rows, seconds)
    seen = {"CPU per event, us": us, "CPU, % of a core": 100 * share}
    if limits:
        seen["CPU per event, x limit client"] = figures.ratio(us, limits)
    return seen


def busy(options: Options) -> Iterator[Case]:
    """Streams beside a process that takes half of the client's core."""
    goals = {"first token error p99, ms": Goal("<", 0.2), "token error p99, ms": Goal("<", 0.2)}
    yield Case("busy", "300 streams, half a core", partial(_busy, options), goals | WHOLE)


def _busy(options: Options) -> Seen:
    with scratch() as folder:
        with serve(FAST, folder, options.truth_server) as server, processes.burning():
            run = offer(server, streams(300, FAST.tokens, options.seconds), folder)
        return _errors(run, server)


def tls(options: Options) -> Iterator[Case]:
    """Streams over TLS, from the embedded provider in any case."""
    goals = {"first token error p99, ms": Goal("<", 0.2), "token error p99, ms": Goal("<", 0.2)}
    yield Case("tls", "300 streams, 50 chunks/s", partial(_tls, options), goals | WHOLE)


def _tls(options: Options) -> Seen:
    with scratch() as folder:
        pair = self_signed(folder)
        load = Load(streams(300, 100, options.seconds).options, (("SSL_CERT_FILE", str(pair[0])),))
        with embedded(Play(0.1, 0.02, 100), folder, pair) as server:
            run = offer(server, load, folder)
        return _errors(run, server)


# Sending, rates, memory, start.


def punctual(options: Options) -> Iterator[Case]:
    """Open loop: how late requests go out."""
    yield Case("punctual", "200 requests/s, Poisson", partial(_punctual, options), {"send lag p99, ms": Goal("<", 1)})


def _punctual(options: Options) -> Seen:
    load = Load(("--rate", "200", "--output-tokens", "1", "--duration", f"{2 * options.seconds}s"))
    with scratch() as folder, serve(Play(0.1, 0.01, 1), folder, options.truth_server) as server:
        run = offer(server, load, folder)
        return figures.spread("send lag", "ms", 1e3 * run.column("send_lag_s"))


def plain(options: Options) -> Iterator[Case]:
    """Whole answers, as fast as they come, beside Locust without records."""
    goals = {"requests, x Locust": Goal("≥", 1)}
    yield Case("plain", f"{USERS} users, whole answers", partial(_plain, options), goals)


def _plain(options: Options) -> Seen:
    with scratch() as folder, serve(Play(0.001, 0.01, 1), folder, options.truth_server) as server:
        before_s = server.cpu_s()
        run = offer(server, streams(USERS, 1, options.seconds, "--no-stream"), folder)
        busy_share = (server.cpu_s() - before_s) / options.seconds
        ours = figures.steady_per_s(Counter((run.column("end_ns") // 10**9).astype(int).tolist()))
        theirs = figures.steady_per_s(runs.locust_per_s(server, USERS, options.seconds, folder))
    return {
        "firsttoken, full records, requests/s": ours,
        "Locust FastHttpUser, no records, requests/s": theirs,
        "requests, x Locust": ours / theirs,
        "server, % of its core": 100 * busy_share,
        "rows lost, ": run.failed,
    }


def memory(options: Options) -> Iterator[Case]:
    """Thousands of slow streams: what each of them takes."""
    goals = {"memory per stream, KB": Goal("≤", 40)}
    yield Case("memory", f"{MANY:,} streams, 1 chunk/s, 60 s", partial(_memory, options), goals)


def _memory(options: Options) -> Seen:
    with scratch() as folder, serve(Play(0.5, 0.01, 1), folder, options.truth_server) as server:
        idle = float(offer(server, streams(1, 1, 3), folder).client["rss_bytes"][0])
    with scratch() as folder:
        with serve(Play(1.0, 1.0, 60), folder, options.truth_server) as server:
            load = streams(MANY, 60, 60, "--requests", str(MANY))
            peak = runs.peak_bytes(server, load, folder)
        run = runs.Run(folder / "latest")
        lost = {"rows lost, ": float(MANY - len(run.rows))}
    return {"idle worker, MB": idle / 1e6, "memory per stream, KB": (peak - idle) / 1024 / MANY} | lost


def long(options: Options) -> Iterator[Case]:
    """Very many chunks through one process: does its memory grow?"""
    goals = {"memory, end / first minute, x": Goal("≤", 1.05)}
    yield Case("long", f"{options.chunks / 1e6:g} M chunks", partial(_long, options), goals | WHOLE)


def _long(options: Options) -> Seen:
    seconds = max(10, round(options.chunks / (LONG_USERS * FAST.tokens / FAST.turn_s)))
    with scratch() as folder:
        with serve(FAST, folder, options.truth_server) as server:
            run = offer(server, streams(LONG_USERS, FAST.tokens, seconds), folder)
        early, late = figures.memory_growth(run.client)
        found = truth.errors(run.rows, server.sent, run.zero_ns)
    return {
        "chunks, M": len(found.each) / 1e6,
        "memory, first minute, MB": early,
        "memory, end, MB": late,
        "memory, end / first minute, x": late / early,
        "rows lost, ": max(found.lost_rows, run.failed),
        "token events lost, ": found.lost_events,
    }


def start(_: Options) -> Iterator[Case]:
    """`firsttoken run`, until its first request has gone out."""
    yield Case(
        "start", "firsttoken run", lambda: {"first request sent, s": runs.first_request_s()},
        {"first request sent, s": Goal("<", 2)},
    )  # fmt: skip


def scale(options: Options) -> Iterator[Case]:
    """Large runs made by hand, judged with the installed commands."""
    for load, measure, goals in judging.measures(options.requests):
        yield Case("scale", load, measure, goals)


CASES: Final = {
    "accuracy": accuracy, "busy": busy, "tls": tls, "punctual": punctual, "plain": plain, "memory": memory,
    "long": long, "start": start, "scale": scale,
}  # fmt: skip
USUAL: Final = tuple(name for name in CASES if name not in {"memory", "long", "scale"})
