"""
What a run is going to do, as plain data: decided by the command line, kept in run.json, read by every worker.

A worker process gets its plan from the manifest alone, so that a run can be finished, or told apart from another, by
what is on disk. Never holds a secret.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import orjson

from loadtests import draws, manifest, schedule, tokens, workload
from loadtests.send import Target

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from loadtests.draws import Law
    from loadtests.profiles import Profile
    from loadtests.schedule import Closed, Schedule
    from loadtests.workload import Workload


BEYOND: Final = 1 << 40
"""Seqs from here on are of users who joined a closed loop beyond its planned number (Locust's web UI can do that)."""

BLOCKS: Final = 8
"""Blocks that arms are interleaved in, unless said otherwise."""

HOLD_S: Final = 600.0
"""How long a schedule goes on under --hold at most: an answer takes no longer than a provider's patience."""

TRACE: Final = "trace.arrow"
"""A trace as it is played, among the inputs of a run."""


@dataclass(frozen=True, slots=True)
class Arm:
    """
    One side of a comparison: which model is asked, and how. Whose it is says the profile beside it in run.json.

    Attributes:
        name: Unique in the run.
        params: Body fields of all its requests.
        new_connections: Each request opens a connection of its own.
    """

    name: str
    model: str
    params: dict[str, Any] = field(default_factory=dict)
    new_connections: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """
    One run's load.

    Attributes:
        arms: Whom it goes to; one, unless sides are compared.
        mode: "open" (a schedule decides when) or "closed" (`concurrency` users, each waiting for its answer).
        arrivals: How an open loop's arrivals are spaced, as `schedule` spells it; `trace:FILE` replays one.
        rate: Arrivals per second; None in closed loop, and where stages or a trace say it.
        duration_s: Length of the schedule, warm-up included; None where only `requests` bounds it.
        stages: The load over time, as `schedule.Stage` is kept in JSON.
        trace_speed, trace_start_s: How many times faster a trace is played, and from where on.
        max_in_flight: Open loop: more are not under way at a time; who comes meanwhile waits, and its waiting counts.
        hold: Go on behind the end until all that was meant to be measured is over; phase `drain`.
        shape: Closed loop: the name of the Locust shape that says how many users there are; None: `concurrency` does.
        ramp_s: Closed loop: the users come one by one within this time.
        think: Closed loop: a user's pause between an answer and the next request, as `draws.law_of` reads it.
        blocks: How often arms take turns; together: they don't, each arrival goes to all of them at once.
        warmup_s: Arrivals before this moment are phase `warmup`.
        stream_share: Share of streamed answers; None: as the workload says.
        output_tokens: The cap of every answer; None: as the workload says.
        workload: As it was asked for; `definitions` is what that means.
        salt: Of the prompts' nonces, new for each run, so that no cache knows the prompts of an earlier one.
        budget_requests, budget_tokens, budget_cost, budget_time_s: What the run may spend at most; None: no cap.
        allow_insecure_http: Plain http may leave a worker's machine and its private network.
        accept_throttling, accept_errors: Go on where most answers are throttled, where most requests fail.
        keep_bodies: Share of the requests whose bodies are kept, redacted.
        tokenizer: Path of a tokenizer that counts answers whose provider doesn't, and gives prompts their length.
        objectives: What each arm is held against, as texts; only analysis reads them.
        live_limits: What ends the run once it can't keep its promises any more, as `hopeless` makes and reads them.
        server_metrics: Whose figures are asked for each second, as `scrape.checked` gives it.
    """

    arms: tuple[Arm, ...]
    mode: str = "open"
    arrivals: str = "poisson"
    rate: float | None = None
    concurrency: int | None = None
    duration_s: float | None = None
    requests: int | None = None
    stages: tuple[dict[str, Any], ...] = ()
    trace_speed: float = 1.0
    trace_start_s: float = 0.0
    max_in_flight: int | None = None
    hold: bool = False
    shape: str | None = None
    ramp_s: float = 0.0
    think: Any = None
    blocks: int = BLOCKS
    together: bool = False
    stream_share: float | None = 1.0
    output_tokens: int | None = None
    workload: str = "chat"
    definitions: tuple[dict[str, Any], ...] = ()
    seed: int = 1
    salt: str = ""
    workers: int = 1
    warmup_s: float = 0.0
    budget_requests: int | None = None
    budget_tokens: int | None = None
    budget_cost: float | None = None
    budget_time_s: float | None = None
    allow_insecure_http: bool = False
    accept_throttling: bool = False
    accept_errors: bool = False
    keep_bodies: float = 0.0
    tokenizer: str | None = None
    objectives: tuple[str, ...] = ()
    live_limits: tuple[dict[str, Any], ...] = ()
    server_metrics: tuple[str, ...] = ()

    @classmethod
    def single(cls, model: str, *, params: dict[str, Any] | None = None, **load: Any) -> Self:
        """The plan of a run with one arm."""
        return cls((Arm("default", model, params or {}),), **load)

    @property
    def has_budget(self) -> bool:
        """Whether every request has to be counted against a cap."""
        return any(cap is not None for cap in (self.budget_requests, self.budget_tokens, self.budget_cost))

    @property
    def interleaved(self) -> bool:
        """Whether arms take turns."""
        return len(self.arms) > 1 and not self.together

    @property
    def has_conversations(self) -> bool:
        """Whether some of what is asked goes on for several turns."""
        return any(definition.get("conversation") for definition in self.definitions)

    @property
    def trace(self) -> str | None:
        """The file of the trace that is replayed; None where none is."""
        return self.arrivals.removeprefix("trace:") if self.arrivals.startswith("trace:") else None

    @property
    def streamed(self) -> float:
        """The share of streamed answers; the mean of those of its workloads where each says its own."""
        if self.stream_share is not None:
            return self.stream_share
        weights = [float(definition.get("weight", 1.0)) for definition in self.definitions]
        shares = [1.0 if d.get("stream_share") is None else float(d["stream_share"]) for d in self.definitions]
        return sum(w * share for w, share in zip(weights, shares, strict=True)) / sum(weights)

    @property
    def model(self) -> str:
        """The model asked; of the first arm where there are several."""
        return self.arms[0].model

    def to_json(self) -> dict[str, Any]:
        """As kept in run.json under `plan`; the arms stand beside it."""
        value = asdict(self)
        del value["arms"]
        return value

    @classmethod
    def from_manifest(cls, about: dict[str, Any]) -> Self:
        """From run.json; keys of later versions are left alone, and those of earlier ones understood."""
        value = about["plan"]
        known = {f.name for f in fields(cls)} - {"arms"}
        load: dict[str, Any] = {
            key: tuple(item) if isinstance(item, list) else item for key, item in value.items() if key in known
        }
        if "think_s" in value:
            load["think"] = value["think_s"] or None
        names = {f.name for f in fields(Arm)}
        sides = manifest.arms(about)
        return cls(tuple(Arm(**{key: item for key, item in side.items() if key in names}) for side in sides), **load)

    # What it names.

    def source(self, inputs: Path | None = None) -> Workload:
        """
        The workload.

        Args:
            inputs: Folder in which a run keeps what its workload and its schedule were read from; None: from there.
        """
        count = tokens.load(self.tokenizer).count if self.tokenizer is not None else None
        own = {key for arm in self.arms for key in arm.params}
        return workload.make(
            self.definitions or workload.definitions(self.workload), seed=self.seed, stream_share=self.stream_share,
            output_tokens=self.output_tokens, salt=self.salt, without=own, count=count,
            sample=inputs if inputs is not None and inputs.is_dir() else None,
        )  # fmt: skip

    def open_schedule(self, inputs: Path | None = None, source: Workload | None = None) -> Schedule:
        """The arrivals of an open-loop plan, and how many turns each takes."""
        kept = inputs / TRACE if inputs is not None else None
        if kept is not None and kept.is_file():
            found = schedule.Schedule.load(kept)
        else:
            found = schedule.open_loop(
                self.arrivals, self.rate, self.duration_s, self.seed, self.requests, stages=self._stages(),
                trace=self._trace(), hold_s=HOLD_S if self.hold else 0.0,
            )  # fmt: skip
        if not self.has_conversations:
            return found
        if not any(definition.get("dataset") for definition in self.definitions):
            return found.with_turns(_turns(orjson.dumps(self.definitions), self.seed, len(found)))
        source = self.source(inputs) if source is None else source
        return found.with_turns(np.array([source.turns(a) for a in range(len(found))], dtype=np.int32))

    def closed_schedule(self) -> Closed:
        """The users of a closed-loop plan, of one arm."""
        return schedule.closed_loop(
            self.concurrency, self.duration_s, self.requests, ramp_s=self.ramp_s, stages=self._stages()
        )

    def share_of_cap(self, rank: int, workers: int | None = None) -> int | None:
        """How many requests may be in flight of the worker of this rank among so many, the plan's; None: no cap."""
        most, of = self.max_in_flight, workers or self.workers
        return None if most is None else most // of + (rank < most % of)

    def thinking(self) -> Law | None:
        """The law of a user's pauses; None: none."""
        return None if self.think is None else draws.law_of(self.think, "s")

    def _stages(self) -> tuple[schedule.Stage, ...]:
        return tuple(schedule.Stage.from_json(stage) for stage in self.stages)

    def _trace(self) -> schedule.Trace | None:
        if self.trace is None:
            return None
        return schedule.read_trace(
            self.trace,
            speed=self.trace_speed,
            start_s=self.trace_start_s,
            duration_s=self.duration_s,
            requests=self.requests,
        )

    def phase(self, at_ns: int) -> str:
        """The phase of what is meant for this moment of its arm's schedule; the tail of --hold is not asked for."""
        return "warmup" if at_ns < self.warmup_s * 1e9 else "measure"


@lru_cache(maxsize=4)
def _turns(definitions: bytes, seed: int, n: int) -> NDArray[np.int32]:
    """How many turns each of n arrivals brings, shape (n,); whoever shows a plan asks for it several times."""
    source = workload.make(orjson.loads(definitions), seed=seed, stream_share=None)
    return np.array([source.turns(a) for a in range(n)], dtype=np.int32)


def target_of(plan: Plan, arm: Arm, profile: Profile) -> Target:
    """What the requests of an arm have in common."""
    counter = tokens.load(plan.tokenizer).count_aside if plan.tokenizer is not None else None
    return Target(profile, arm.model, arm.params, arm.name, arm.new_connections or not profile.keep_alive, counter)
