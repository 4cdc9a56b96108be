"""
Runs out of a random number generator: what the gate's promises are tried on, thousands of times.

A run has an effect of its own (normal, sd 3 % on the log scale), and within it an AR(1) series of lognormal TTFTs with
stalls: moments at which the server stands still, so that every request that meets one waits for the rest of it. Latency
and TPOT hang on the same series. Nothing here knows the gate; only the last step makes digests of the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import signal

from analysis.digest import Digest, Number
from analysis.facts import Facts
from analysis.places import RUN, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PER_S: Final = 20.0
"""Requests per second of every simulated run."""

PLACES: Final = {
    "ttft_p50": Place("ttft_s", None, "stream", None, "p50"),
    "ttft_p95": Place("ttft_s", None, "stream", None, "p95"),
    "ttft_p99": Place("ttft_s", None, "stream", None, "p99"),
    "tpot_p50": Place("tpot_s", None, "stream", "usage", "p50"),
    "latency_p95": Place("latency_s", None, "stream", None, "p95"),
    "goodput": Place("goodput_per_s", None, RUN, None, ""),
    "error_rate": Place("error_rate", None, RUN, None, ""),
}
FACTS: Final = Facts("run", "run", "", "", "simulated", "", "none", "open loop", "kernel", 1, ())


@dataclass(frozen=True, slots=True)
class Server:
    """
    What is simulated.

    Attributes:
        requests: Of a run.
        run_sd: Of the run's own effect, log scale.
        phi: How much of one request's luck the next one has.
        spread: Log-sd of TTFT within a run.
        stall: Probability that a stall begins at a request; each lasts 8 requests on average and up to a second.
        error: Share of requests that fail, on average; each run has its own.
        slower: Factor on TTFT.
    """

    requests: int = 1000
    run_sd: float = 0.03
    phi: float = 0.4
    spread: float = 0.5
    stall: float = 0.0005
    error: float = 0.01
    slower: float = 1.0


def numbers(server: Server, rng: np.random.Generator, runs: int) -> dict[str, Array]:
    """The numbers of so many runs, each of shape (runs,)."""
    shape = runs, server.requests
    own, luck, ttft = _ttft(server, rng, runs)
    tpot = own * 0.01 * np.exp(0.1 * rng.standard_normal(shape) + 0.05 * luck)
    latency = ttft + tpot * rng.lognormal(4.5, 0.6, shape)
    rate = np.minimum(server.error * np.exp(rng.normal(0, 0.3, (runs, 1))), 1.0)
    failed = rng.random(shape) < rate
    good = (ttft < 0.6) & ~failed
    p50, p95, p99 = np.quantile(ttft, (0.5, 0.95, 0.99), axis=1)
    return {
        "ttft_p50": p50, "ttft_p95": p95, "ttft_p99": p99,
        "tpot_p50": np.median(tpot, axis=1), "latency_p95": np.quantile(latency, 0.95, axis=1),
        "goodput": PER_S * good.mean(axis=1), "error_rate": failed.mean(axis=1),
    }  # fmt: skip


def ttft(server: Server, rng: np.random.Generator, runs: int) -> Array:
    """Every request's TTFT of so many runs, seconds, shape (runs, requests)."""
    return _ttft(server, rng, runs)[2]


def _ttft(server: Server, rng: np.random.Generator, runs: int) -> tuple[Array, Array, Array]:
    """The runs' own effects, shape (runs, 1), the requests' luck and their TTFT."""
    shape = runs, server.requests
    own = np.exp(rng.normal(0, server.run_sd, (runs, 1)))
    luck = _ar1(rng, shape, server.phi)
    return own, luck, server.slower * own * (0.2 * np.exp(server.spread * luck) + _stalls(rng, shape, server.stall))


def _ar1(rng: np.random.Generator, shape: tuple[int, int], phi: float) -> Array:
    """Series with mean 0 and variance 1, x_t = phi x_{t-1} + sqrt(1 - phi^2) e_t, shape (runs, requests)."""
    noise = rng.standard_normal(shape)
    noise[:, 1:] *= np.sqrt(1 - phi**2)
    return np.asarray(signal.lfilter([1.0], [1.0, -phi], noise, axis=1))


def _stalls(rng: np.random.Generator, shape: tuple[int, int], begins: float) -> Array:
    """What is left of a stall for each request that meets one, seconds; 0 for the others."""
    left = np.zeros(shape)
    for run, at in zip(*np.nonzero(rng.random(shape) < begins), strict=True):
        length = min(1 + rng.geometric(1 / 8), shape[1] - at)
        left[run, at : at + length] = np.maximum(left[run, at : at + length], np.linspace(1.0, 0.1, length))
    return left


def digests(of: dict[str, Array], first: int = 0) -> list[Digest]:
    """The runs as digests, each a session of its own, none of them of a seed that another one has."""
    found = []
    for run in range(len(of["ttft_p50"])):
        name = f"run-{first + run}"
        facts = replace(FACTS, name=name, run_id=name, seed=None)
        of_run = {PLACES[word]: Number(float(values[run]), 1000) for word, values in of.items()}
        found.append(Digest(facts, (first + run) * 10**9, name, None, "valid", (), (), of_run, {}))
    return found
