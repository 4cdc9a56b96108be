"""A campaign as it is made: which runs, in which order, from what, and the file that says so."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from loadtests import profiles
from loadtests.campaign import FILE, Campaign, entries
from loadtests.plan import Arm, Plan
from loadtests.rundir import Place, RunError, Setup, create

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("a", "b", "c")


def setup_of(out: Path, *names: str, **load: Any) -> Setup:
    names = names or NAMES
    plan = Plan(tuple(Arm(name, f"model-{name}") for name in names), rate=2.0, duration_s=3.0, **load)
    mock = profiles.load("mock")
    sides = [mock.model_copy(update={"name": f"profile-{name}"}) for name in names]
    return Setup(plan, sides, out, "x-vs-y", ["firsttoken", "run"], {"build": "7"})


def rounds(setup: Setup, repeats: int) -> list[list[str]]:
    """The arms in order of playing, by round."""
    found = groupby(entries(setup.plan, [None], range(repeats)), key=lambda entry: entry.round)
    return [[entry.arm for entry in of_round] for _, of_round in found]


def test_each_round_plays_every_arm_once(tmp_path: Path) -> None:
    found = rounds(setup_of(tmp_path), 20)

    assert [sorted(of_round) for of_round in found] == [["a", "b", "c"]] * 20


def test_the_order_is_drawn_for_each_round_from_the_seed(tmp_path: Path) -> None:
    """Of 6 orders of 3 arms, 40 rounds miss one with a chance of 6 (5/6)^40 = 0.4 %; a fixed order misses five."""
    found = rounds(setup_of(tmp_path, seed=3), 40)

    assert found == rounds(setup_of(tmp_path, seed=3), 40)
    assert found != rounds(setup_of(tmp_path, seed=4), 40)
    assert len({tuple(of_round) for of_round in found}) == 6


def test_runs_of_a_round_have_a_seed_in_common_and_rounds_have_not(tmp_path: Path) -> None:
    found = list(entries(setup_of(tmp_path, seed=5).plan, [None], range(3)))

    assert [(entry.round, entry.seed) for entry in found] == [(r, 5 + r) for r in range(3) for _ in range(3)]
    assert [entry.folder for entry in found] == [f"0{n}" for n in range(1, 10)]
    assert {entry.state for entry in found} == {"planned"}


@pytest.mark.parametrize(("repeats", "last"), [(1, "03"), (33, "99"), (34, "102")])
def test_folders_sort_as_they_were_played(tmp_path: Path, repeats: int, last: str) -> None:
    folders = [entry.folder for entry in entries(setup_of(tmp_path).plan, [None], range(repeats))]

    assert folders == sorted(folders)
    assert folders[-1] == last


def test_a_run_has_one_arm_with_its_profile_and_a_place_in_the_campaign(tmp_path: Path) -> None:
    campaign = Campaign.begin(setup_of(tmp_path, seed=5, salt="s"), 2, 0.0)

    made = [(entry, campaign.setup_of(entry)) for entry in campaign.planned()]
    assert len(made) == 6
    for entry, one in made:
        assert [arm.name for arm in one.plan.arms] == [entry.arm]
        assert [profile.name for profile in one.profiles] == [f"profile-{entry.arm}"]
        assert (one.plan.seed, one.plan.rate, one.labels) == (entry.seed, 2.0, {"build": "7"})
        assert one.campaign == Place(campaign.path.name, entry.folder, entry.round)
        assert not one.plan.interleaved
    assert len({one.plan.salt for _, one in made}) == 6  # no cache knows the prompts of an earlier run


def test_arms_that_play_together_are_one_run_a_round(tmp_path: Path) -> None:
    campaign = Campaign.begin(setup_of(tmp_path, together=True), 3, 0.0)

    made = [(entry, campaign.setup_of(entry)) for entry in campaign.planned()]
    assert [entry.arm for entry, _ in made] == ["a,b,c"] * 3
    assert [[arm.name for arm in one.plan.arms] for _, one in made] == [["a", "b", "c"]] * 3


def test_a_name_with_a_comma_is_one_arm(tmp_path: Path) -> None:
    """An arm may be called like its profile's file, whatever that is called."""
    campaign = Campaign.begin(setup_of(tmp_path, "a", "a,b"), 1, 0.0)

    assert sorted([arm.name for arm in campaign.setup_of(one).plan.arms] for one in campaign.planned()) == [
        ["a"],
        ["a,b"],
    ]


def test_the_file_says_what_is_planned_and_what_became_of_it(tmp_path: Path) -> None:
    campaign = Campaign.begin(setup_of(tmp_path, "a", "b", seed=5), 2, 7.5)

    def told() -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads((campaign.path / FILE).read_bytes())
        return found

    said = told()
    about = {key: value for key, value in said.items() if key not in ("campaign_id", "runs", "plan", "sides")}
    assert about == {
        "schema_version": 1, "kind": "repeats", "options": {}, "name": "x-vs-y", "argv": ["firsttoken", "run"],
        "labels": {"build": "7"}, "arms": ["a", "b"], "repeats": 2, "rest_s": 7.5, "seed": 5, "remote": None,
    }  # fmt: skip
    assert said["campaign_id"] == campaign.path.name
    assert [run["state"] for run in said["runs"]] == ["planned"] * 4
    first, second = list(campaign.entries)[:2]
    campaign.done(first)
    campaign.done(second, stopped=True)
    assert [run["state"] for run in told()["runs"]] == ["done", "stopped", "planned", "planned"]
    assert told()["runs"][0] == {"folder": "01", "arm": first.arm, "round": 0, "seed": 5, "state": "done"}
    assert [path.name for path in campaign.path.iterdir()] == [FILE]  # no half-written file is left


def test_its_runs_are_made_inside_it_and_latest_stays_the_campaign(tmp_path: Path) -> None:
    campaign = Campaign.begin(setup_of(tmp_path, "a", "b"), 1, 0.0)
    entry = campaign.entries[0]
    one = campaign.setup_of(entry)

    path = create(one)
    assert path == campaign.path / "01"
    campaign.done(entry)
    assert (tmp_path / "latest").resolve() == campaign.path.resolve()
    with pytest.raises(RunError, match="01"):
        create(one)


def test_a_campaign_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError) as raised:
        Campaign.begin(setup_of(tmp_path / "file"), 1, 0.0)
    assert "\n" not in str(raised.value)
