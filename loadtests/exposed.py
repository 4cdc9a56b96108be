"""
A run while it is on, for a Prometheus server: what its workers last said, as text, at an HTTP address of this process.

Counters begin anew with each run, whose name `firsttoken_run_info` says; Prometheus takes that for a restart. Nothing
here is kept: the figures of a run that is over are in its directory.
"""

from __future__ import annotations

import socket
import sys
import threading
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import TYPE_CHECKING, Any, Final, Self

from prometheus_client import CollectorRegistry, MetricsHandler
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from loadtests import histogram
from loadtests.guard import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadtests.live import Side
    from loadtests.standing import Standing

OUTCOMES: Final = ("ok", "errors", "cancelled", "unsent")
STEPS: Final = (10, 15, 20, 30, 50, 70)
TTFT_US: Final = (*(step * 10**power for power in range(3, 7) for step in STEPS), 10**8)
"""Bounds of the buckets, 10 ms to 100 s, at most half again as far apart; they are edges of the finer bins."""

TPOT_US: Final = (*(step * 10**power for power in range(1, 5) for step in STEPS), 10**6)
"""The same from 0.1 ms to 1 s."""

CLIENT: Final = {
    "cpu": ("client_cpu_ratio", "Share of a core that a load-making process took in the last second.", 1.0),
    "hub_lag_us": ("client_loop_lag_seconds", "Worst delay of its event loop in the last second.", 1e6),
    "wake_lag_p99_us": ("client_wake_lag_seconds", "From receive stamp to reader, p99 of the last second.", 1e6),
    "send_lag_p99_us": ("client_send_lag_seconds", "From scheduled moment to send, p99 of the last second.", 1e6),
    "rss_bytes": ("client_resident_memory_bytes", "Memory of a load-making process.", 1.0),
}  # fmt: skip


class EndpointError(ValueError):
    """The address cannot be listened at: one line."""


def families(standing: Standing, info: Mapping[str, str]) -> Iterator[Metric]:
    """
    A run's figures.

    Args:
        standing: Of the run.
        info: What it is, by label; what looks like a key in it is masked.
    """
    told = {key: masked(value) for key, value in info.items()}
    yield InfoMetricFamily("firsttoken_run", "The run that is on.", value=told)
    yield _gauge("elapsed_seconds", "Since the run's start.", standing.t_s)
    yield _gauge("in_flight", "Requests that were sent and are not over.", standing.in_flight)
    yield _gauge("waiting", "Requests that --max-in-flight keeps back.", standing.waiting)
    yield _gauge("workers", "Load-making processes that still play.", standing.workers)
    yield _gauge("workers_lost", "Load-making processes that ended unasked.", standing.gone)
    yield _counter("requests_picked_up", "Requests sent, or kept back for good.", standing.issued)
    if standing.due is not None:
        yield _counter("arrivals_due", "Requests whose moment has come, sent or not (open loop).", standing.due)
    yield from _of_sides(standing.sides)
    yield from _of_clients(standing.health)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"firsttoken_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"firsttoken_{name}", text, value=value)


def _of_sides(sides: Mapping[str, Side]) -> Iterator[Metric]:
    """Arm by arm."""
    requests = CounterMetricFamily(
        "firsttoken_requests", "Requests that are over, by their outcome.", labels=["arm", "outcome"]
    )
    errors = CounterMetricFamily("firsttoken_errors", "Requests that failed, by their kind.", labels=["arm", "kind"])
    tokens = CounterMetricFamily("firsttoken_output_tokens", "Of requests that are over.", labels=["arm"])
    ttft = HistogramMetricFamily(
        "firsttoken_ttft_seconds", "From the scheduled moment to the first token.", labels=["arm"]
    )
    tpot = HistogramMetricFamily("firsttoken_tpot_seconds", "Time per output token behind the first.", labels=["arm"])
    for name, side in sides.items():
        arm = masked(name)
        for outcome in OUTCOMES:
            requests.add_metric([arm, "error" if outcome == "errors" else outcome], getattr(side, outcome))
        for kind, n in sorted(side.kinds.items()):
            errors.add_metric([arm, kind], n)
        tokens.add_metric([arm], side.output_tokens)
        ttft.add_metric([arm], _buckets(side.ttft, TTFT_US), side.ttft_s)
        tpot.add_metric([arm], _buckets(side.tpot, TPOT_US), side.tpot_s)
    yield from (requests, errors, tokens, ttft, tpot)


def _buckets(bins: histogram.Bins, bounds_us: tuple[int, ...]) -> list[tuple[str, float]]:
    """How many are at most each bound, in seconds; and how many there are."""
    counts = histogram.at_most(bins, bounds_us)
    named = [(str(bound / 1e6), float(count)) for bound, count in zip(bounds_us, counts, strict=True)]
    return [*named, ("+Inf", float(sum(bins.values())))]


def _of_clients(health: Mapping[int, Mapping[str, float]]) -> Iterator[Metric]:
    for figure, (name, text, scale) in CLIENT.items():
        family = GaugeMetricFamily(f"firsttoken_{name}", text, labels=["worker"])
        for worker, figures in sorted(health.items()):
            if figure in figures:
                family.add_metric([str(worker)], figures[figure] / scale)
        yield family


# Where it is asked for.


class Server(ThreadingHTTPServer):
    """Prometheus' handler in a thread per request; who goes away in the middle is nobody's matter."""

    daemon_threads = True

    def __init__(self, where: tuple[str, int], handler: type, family: socket.AddressFamily) -> None:
        self.address_family = family
        super().__init__(where, handler)

    def server_bind(self) -> None:
        """Without asking the DNS who this is, which can take long."""
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show what is a flaw of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class Endpoint(Collector):
    """
    Answers GET with the figures of the run that is on, in a thread of its own.

    Args:
        host: To listen at.
        port: The same; 0: any that is free.

    Raises:
        EndpointError: Something else listens there, or the host is not of this machine.
    """

    def __init__(self, host: str, port: int) -> None:
        self._told: tuple[Standing, Mapping[str, str]] | None = None
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        handler = MetricsHandler.factory(registry)
        try:
            (family, *_), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            self._server = Server((host, port), handler, family)
        except (OSError, UnicodeError) as error:
            why = (error.strerror if isinstance(error, OSError) else "") or "no name of a host"
            raise EndpointError(
                f"--metrics-port {port}: cannot listen at {host}: {why}; name a free port of this machine, or 0 for any"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_address[1]}/metrics"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def tell(self, standing: Standing, info: Mapping[str, str]) -> None:
        """From now on this is how the run stands."""
        self._told = standing, info

    def collect(self) -> Iterator[Metric]:
        """What was last told; nothing before the first run."""
        if self._told is not None:
            yield from families(*self._told)
