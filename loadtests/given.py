"""What a user asked for, as it was spelt: the options of a run before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.units import Cap


@dataclass(frozen=True, slots=True)
class Given:
    """
    What was asked for; None where nothing was.

    Attributes:
        output_tokens: The cap of every answer; `workload`: each has its own, of whoever is asked.
        stages: File of the load over time.
        stream: True or False: streamed answers only, or none.
        objectives: What the run promises, as `analysis.objectives` writes it.
        repeats, rest: A campaign: so many runs of each arm, and seconds between two of them.
    """

    workload: str = "chat"
    output_tokens: Cap | None = None
    stream: bool | None = None
    stream_share: float | None = None
    rate: float | None = None
    concurrency: int | None = None
    arrivals: str | None = None
    stages: str | None = None
    trace_speed: float | None = None
    trace_start: float | None = None
    duration: float | None = None
    requests: int | None = None
    max_in_flight: int | None = None
    hold: bool = False
    ramp: float | None = None
    think: str | None = None
    blocks: int | None = None
    together: bool = False
    repeats: int | None = None
    rest: float | None = None
    warmup: float | None = None
    seed: int = 1
    workers: int = 1
    budget_requests: int | None = None
    budget_tokens: int | None = None
    budget_cost: float | None = None
    budget_time: float | None = None
    allow_insecure_http: bool = False
    accept_throttling: bool = False
    accept_errors: bool = False
    keep_bodies: float = 0.0
    tokenizer: str | None = None
    objectives: tuple[str, ...] = ()
    server_metrics: tuple[str, ...] = ()
