"""
What a run is going to do, as plain data: decided by the command line, kept in run.json, read by every worker.

A worker process gets its plan from the manifest alone, so that a run can be finished, or told apart from another, by
what is on disk. Never holds a secret.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from loadtests import schedule, tokens, workload
from loadtests.send import Target

if TYPE_CHECKING:
    from loadtests.profiles import Profile
    from loadtests.workload import Workload


BEYOND: Final = 1 << 40
"""Seqs from here on are of users who joined a closed loop beyond its planned number (Locust's web UI can do that)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """
    One run's load.

    Attributes:
        mode: "open" (a schedule decides when) or "closed" (`concurrency` users, each waiting for its answer).
        rate: Arrivals per second; None in closed loop.
        duration_s: Length of the schedule, warm-up included; None where only `requests` bounds it.
        warmup_s: Arrivals before this moment are phase `warmup`.
        salt: Of the prompts' nonces, new for each run, so that no cache knows the prompts of an earlier one.
        think_s: Pause of a closed-loop user between an answer and the next request.
        budget_requests, budget_tokens, budget_cost, budget_time_s: What the run may spend at most; None: no cap.
        accept_throttling, accept_errors: Go on where most answers are throttled, where most requests fail.
        keep_bodies: Share of the requests whose bodies are kept, redacted.
        tokenizer: Path of a tokenizer that counts answers whose provider doesn't.
    """

    model: str
    mode: str = "open"
    arrivals: str = "poisson"
    rate: float | None = None
    concurrency: int | None = None
    duration_s: float | None = None
    requests: int | None = None
    stream_share: float = 1.0
    output_tokens: int | None = None
    workload: str = "chat"
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 1
    salt: str = ""
    workers: int = 1
    warmup_s: float = 0.0
    think_s: float = 0.0
    new_connections: bool = False
    arm: str = "default"
    budget_requests: int | None = None
    budget_tokens: int | None = None
    budget_cost: float | None = None
    budget_time_s: float | None = None
    accept_throttling: bool = False
    accept_errors: bool = False
    keep_bodies: float = 0.0
    tokenizer: str | None = None

    @property
    def has_budget(self) -> bool:
        """Whether every request has to be counted against a cap."""
        return any(cap is not None for cap in (self.budget_requests, self.budget_tokens, self.budget_cost))

    def to_json(self) -> dict[str, Any]:
        """As kept in run.json under `plan`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Plan:
        """From run.json; keys of later versions are left alone."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: item for key, item in value.items() if key in known})

    def target(self, profile: Profile) -> Target:
        """What the requests of this plan have in common."""
        counter = tokens.load(self.tokenizer).count_aside if self.tokenizer is not None else None
        new_connections = self.new_connections or not profile.keep_alive
        return Target(profile, self.model, self.params, self.arm, new_connections, counter)

    def source(self) -> Workload:
        """The workload, by its name."""
        make = workload.load(self.workload)
        return make(
            self.seed, stream_share=self.stream_share, output_tokens=self.output_tokens, salt=self.salt,
            without=self.params,
        )  # fmt: skip

    def open_schedule(self) -> schedule.Schedule:
        """The arrivals of an open-loop plan."""
        assert self.rate is not None
        return schedule.open_loop(self.arrivals, self.rate, self.duration_s, self.seed, self.requests)

    def closed_schedule(self) -> schedule.Closed:
        """The users of a closed-loop plan."""
        assert self.concurrency is not None
        return schedule.Closed(self.concurrency, self.duration_s, self.requests)

    def phase(self, scheduled_ns: int) -> str:
        """The phase of an arrival at this moment of the run."""
        return "warmup" if scheduled_ns < self.warmup_s * 1e9 else "measure"
