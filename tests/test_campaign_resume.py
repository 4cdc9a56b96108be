"""Campaigns that grow, and that are gone on with: what is planned, what is kept, and what each run is made from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import synthetic
from test_campaign_runs import setup_of

from analysis import campaign as read_back
from loadtests.budget import BudgetError
from loadtests.campaign import FILE, Campaign
from loadtests.rundir import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loadtests.campaign import Step
    from loadtests.plan import Plan
    from loadtests.rundir import Setup

LOADS: list[Step | None] = [{"mode": "rate", "load": load} for load in (2.0, 4.0, 8.0)]


def begun(out: Path, repeats: int, *names: str, steps: Sequence[Step | None] = LOADS, **load: Any) -> Campaign:
    return Campaign.begin(setup_of(out, *names, salt="s", **load), repeats, 0.0, kind="sweep", steps=steps)


def left(campaign: Campaign) -> list[tuple[str, Setup]]:
    """What is still to be played, and what each of it is made from."""
    return [(entry.folder, campaign.setup_of(entry)) for entry in campaign.planned()]


def plans(campaign: Campaign) -> dict[str, Plan]:
    return {entry.folder: campaign.setup_of(entry).plan for entry in campaign.planned()}


def played(campaign: Campaign, number: int, stop: str | None = None) -> None:
    """A run of it that has come to its end, or was stopped, without the campaign having noted it."""
    reason = None if stop is None else {"reason": stop, "text": "x"}
    recipe = synthetic.Recipe(n=20, tokens=5, manifest={"stop": reason, "started_unix_ns": 10**18})
    synthetic.write(campaign.path / campaign.entries[number].folder, recipe)


# What is planned.


def test_each_round_plays_each_load_with_each_arm_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    found = begun(tmp_path, 20, "a", "b").entries
    rounds = [[(one.arm, one.step["load"]) for one in found if one.round == r and one.step] for r in range(20)]

    assert all(sorted(one) == [(arm, load) for arm in "ab" for load in (2.0, 4.0, 8.0)] for one in rounds)
    assert len({tuple(one) for one in rounds}) > 15  # of 720 orders; a fixed one would be 1
    assert [one.what for one in found] == [one.what for one in begun(tmp_path, 20, "a", "b").entries]
    assert [one.what for one in found] != [one.what for one in begun(tmp_path, 20, "a", "b", seed=2).entries]


def test_a_step_changes_the_load_and_nothing_else(tmp_path: Path) -> None:
    steps: list[Step | None] = [
        {"mode": "rate", "load": 0.5, "length_s": 7.0, "requests": 3, "kind": "ramp"},
        {"mode": "concurrency", "load": 3.0},
    ]
    campaign = begun(tmp_path, 1, "a", steps=steps, workers=4, budget_time_s=13.0, output_tokens=9)
    made = {plan.mode: plan for plan in plans(campaign).values()}

    assert (made["open"].rate, made["open"].duration_s, made["open"].requests) == (0.5, 7.0, 3)
    assert made["open"].budget_time_s == 17.0  # 10 s after the schedule's end, as before
    assert (made["closed"].concurrency, made["closed"].rate, made["closed"].duration_s) == (3, None, 3.0)
    assert (made["closed"].workers, made["open"].workers) == (3, 4)  # each worker needs a user
    assert made["open"].output_tokens == made["closed"].output_tokens == 9


def test_runs_may_be_added_while_it_is_played(tmp_path: Path) -> None:
    campaign, seen = begun(tmp_path, 0, "a", "b"), []
    campaign.add([{"mode": "rate", "load": 1.0, "number": 1}], [0], ["b"])
    for entry in campaign.planned():
        seen.append((entry.folder, entry.arm, entry.step and entry.step["number"], entry.seed))
        campaign.done(entry)
        if len(seen) < 3:
            campaign.add([{"mode": "rate", "load": 1.0, "number": len(seen) + 1}], [len(seen)], ["b"])

    assert seen == [("01", "b", 1, 1), ("02", "b", 2, 2), ("03", "b", 3, 3)]
    assert campaign.add([{"mode": "rate", "load": 1.0, "number": 3}], [2], ["b"]) == []


def test_more_rounds_later_are_the_rounds_that_would_have_been_played_at_once(tmp_path: Path) -> None:
    few, many = begun(tmp_path, 3, "a", "b"), begun(tmp_path, 5, "a", "b")
    few.add(LOADS, range(5))

    assert few.entries == many.entries
    assert plans(few) == plans(many)
    few.add([*LOADS, {"mode": "rate", "load": 3.0}], range(5))
    assert [one.what for one in few.entries[:30]] == [one.what for one in many.entries]
    assert sorted(one.what[:2] for one in few.entries[30:]) == [(arm, r) for arm in "ab" for r in range(5)]


# Going on.


def test_it_goes_on_with_what_it_would_have_played(tmp_path: Path) -> None:
    """Nothing in its file is lost: a plan, its arms and profiles, remote workers, labels, the salt of the prompts."""
    whole = begun(tmp_path, 2, "a", "b", objectives=("ttft_p95<2s",), stages=({"kind": "rate"},))
    before = left(whole)
    whole.done(whole.entries[0])
    whole.close()
    with Campaign.resume(whole.path, "sweep") as again:
        assert [entry.state for entry in again.entries] == ["done", *["planned"] * 11]
        assert left(again) == before[1:]
        assert (again.rest_s, again.kind, again.setup.labels) == (0.0, "sweep", {"build": "7"})


@pytest.mark.parametrize("reason", ["interrupt", "incomplete"])
def test_what_was_cut_short_is_played_again_in_another_folder(tmp_path: Path, reason: str) -> None:
    """The runs behind it keep their folders, seeds and prompts; its own prompts are fresh for the server's cache."""
    whole = begun(tmp_path, 1, "a")
    before = plans(whole)
    whole.done(whole.entries[0])
    played(whole, 1, reason)
    whole.close()
    for _ in range(2):  # resuming changes nothing more
        with Campaign.resume(whole.path, "sweep") as again:
            assert [(one.folder, one.state) for one in again.entries] == [
                ("01", "done"), ("02", "stopped"), ("02-2", "planned"), ("03", "planned"),
            ]  # fmt: skip
            after = plans(again)
    assert after["03"] == before["03"]
    assert replace(after["02-2"], salt="") == replace(before["02"], salt="")
    assert after["02-2"].salt != before["02"].salt
    assert (whole.path / "02" / "requests.parquet").exists()
    assert [run["folder"] for run in read_back.read(whole.path).runs] == ["01", "02-2", "03"]


def test_a_run_that_ended_unnoticed_is_done_and_one_that_never_began_is_played(tmp_path: Path) -> None:
    """Killed while the first was judged, or stopped for a reason of its own, or while the workers came up."""
    whole = begun(tmp_path, 1, "a")
    played(whole, 0)
    played(whole, 1, "throttled")
    (whole.path / "03" / "parts").mkdir(parents=True)
    (whole.path / "03" / "run.json").write_text(
        '{"schema_version": 1, "plan": {}, "profile": {}, "run_id": "x", "started_unix_ns": null}'
    )
    whole.close()
    with Campaign.resume(whole.path, "sweep") as again:
        assert [(one.folder, one.state) for one in again.entries] == [("01", "done"), ("02", "done"), ("03", "planned")]
    assert not (whole.path / "03").exists()


def test_two_cannot_play_it_at_once(tmp_path: Path) -> None:
    first = begun(tmp_path, 1, "a")

    with pytest.raises(RunError, match="the campaign is on in another process"):
        Campaign.resume(first.path, "sweep")
    first.close()
    Campaign.resume(first.path, "sweep").close()


def test_the_budgets_are_those_of_the_whole_campaign(tmp_path: Path) -> None:
    """20 requests a run, with 50 in all: 30 are left after one, interrupted or not, 10 after two, none after three."""
    whole = begun(tmp_path, 2, "a", budget_requests=50)
    first, second, third, fourth = whole.entries[:4]
    played(whole, 0)
    whole.done(first)
    assert whole.setup_of(second).plan.budget_requests == 30
    played(whole, 1, "interrupt")
    whole.close()
    with Campaign.resume(whole.path, "sweep") as again:
        assert again.setup_of(third).plan.budget_requests == 10
        played(again, 3)
        again.done(again.entries[3])
        with pytest.raises(BudgetError, match="--budget-requests 50 is spent"):
            again.setup_of(fourth)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no campaign to go on with"),
        ("{", "not JSON"),
        ("[]", "not a campaign"),
        ('{"schema_version": 9}', "schema 9"),
        ('{"schema_version": 1, "runs": []}', "an earlier firsttoken made it"),
    ],
)
def test_what_cannot_be_gone_on_with_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / FILE).write_text(text)

    with pytest.raises(RunError, match=said) as raised:
        Campaign.resume(tmp_path, "sweep")
    assert "\n" not in str(raised.value)


def test_a_campaign_of_another_verb_names_it(tmp_path: Path) -> None:
    campaign = begun(tmp_path, 1, "a")
    told = orjson.loads((campaign.path / FILE).read_bytes())
    campaign.close()

    assert (told["kind"], told["plan"]["salt"]) == ("sweep", "s")
    with pytest.raises(RunError, match="firsttoken sweep --resume"):
        Campaign.resume(campaign.path, "capacity")
