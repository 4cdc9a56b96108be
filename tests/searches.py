"""Searches of a queue in virtual time as a campaign tells them, with the figures that a server would have given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import queues

from analysis.campaign import Campaign
from analysis.capacity import curve, search, told
from analysis.capacity.answer import conclude
from analysis.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from analysis.capacity.answer import Answer
    from analysis.capacity.point import Mode, Point
    from analysis.capacity.probe import Step
    from analysis.capacity.told import Told

OBJECTIVE = "ttft_p95<2s"


class Talking(queues.Server):
    """A server of so many slots whose requests have tokens: a first one after the wait, 100 of them within service."""

    arm: str = "fast"
    faster: float = 1.0

    def play(self, step: Step, piece: int) -> Point:
        """One run of a step."""
        point = super().play(step, piece)
        outcomes = tuple(replace(one, text=OBJECTIVE, value=1.2) for one in point.outcomes)
        busy = min(0.95, point.load / self.slots if point.mode == "rate" else point.load / (2 * self.slots))
        wait, length_s = 0.05 + 0.3 * busy**4 / (1 - busy), 0.9 * point.length_s
        arrived, share = point.requests / length_s, outcomes[0].share or 0.0
        achieved = min(arrived, 0.995 * self.slots)
        return replace(
            point, run=f"{self.arm}-{step.mode}-{len(self.played):02d}", arm=self.arm, outcomes=outcomes,
            length_s=length_s, offered_per_s=arrived if point.mode == "rate" else None, achieved_per_s=achieved,
            goodput_per_s=achieved * share, error_rate=0.0, attainment=share, little=0.004 + 0.01 * busy,
            flow=None if point.in_flight is None else point.in_flight * (1.004 + 0.01 * busy),
            ttft_s=(wait, 3 * wait, 5 * wait), tpot_s=(0.01, 0.012 + 0.004 * busy, 0.02),
            latency_s=(1 + wait, 3 + 3 * wait, 5 + 5 * wait), user_tokens_per_s=100 / (1 + busy),
            input_tokens_per_s=500 * achieved, output_tokens_per_s=100 * achieved, input_tokens=500.0,
            output_tokens=100.0, why="in flight grew by 1.3/s and 91 % were answered" if point.why else "",
        )  # fmt: skip


def answer(arm: str = "fast", mode: Mode = "rate", slots: int = 8, seed: int = 1, **more: Any) -> Answer:
    """What a search of such a server finds."""
    server = Talking(slots, 0.5, n=2000, seed=seed, **more)
    server.arm = arm
    asked = search.Asked(mode)
    return conclude(queues.search(server, asked), mode, arm, (OBJECTIVE,))


def facts(arm: str = "fast") -> Facts:
    """The circumstances of a run that nobody made."""
    return Facts(
        name=arm, run_id="1", path="01", started="2026-11-22 14:00:00 UTC", profile="vllm", base_url="http://gpu:8000/v1",
        model="tiny-1", load="open loop, poisson 8/s for 60 s", clock="kernel", seed=1, argv=("firsttoken", "capacity"),
        client="client at 12 % of its calibrated limit", arm=arm, workload="chat 70 %, rag 30 %",
    )  # fmt: skip


def of(path: Path, answers: Sequence[Answer], **more: Any) -> Told:
    """A campaign that had these searches."""
    points = [(probe.step, point) for one in answers for probe in one.probes for point in probe.points]
    return campaign(path, "capacity", [point for _, point in points], answers,
                    [point for step, point in points if step.kind != "base"], **more)  # fmt: skip


def campaign(
    path: Path, kind: str, points: Sequence[Point], answers: Sequence[Answer] = (),
    drawn: Sequence[Point] | None = None, said: Mapping[str, Any] | None = None,
) -> Told:  # fmt: skip
    """A campaign of these runs, none of which is on disk."""
    arms = tuple(dict.fromkeys(point.arm for point in points))
    runs = tuple(
        {"folder": point.run, "arm": point.arm, "state": "done", "step": {"mode": point.mode, "load": point.load}}
        for point in points
    )
    return told.Told(
        path=path, kind=kind, objectives=(OBJECTIVE,), facts={arm: facts(arm) for arm in arms}, points=tuple(points),
        curves=curve.curves(points if drawn is None else drawn), answers=tuple(answers), served={}, said=said or {},
        manifest=Campaign(path, runs, arms, kind, {}),
    )  # fmt: skip
