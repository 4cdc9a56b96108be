"""What a machine that another one's plan comes to needs of its own: keys, ways, files, connections."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from loadtests import profiles
from loadtests.contradictions import OptionError
from loadtests.fit import MISTAKES, check
from loadtests.plan import TRACE, Plan
from loadtests.profiles import ProfileError
from loadtests.targets import TargetError
from loadtests.tokens import TokensError

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.profiles import Profile

PLAN = Plan.single("m", arrivals="constant", rate=10.0, duration_s=1.0)


@pytest.fixture
def near(serve: Any) -> Profile:
    """A provider that is there."""
    return at(f"http://127.0.0.1:{serve(lambda _: None).port}/v1")


def at(url: str) -> Profile:
    return profiles.load("vllm").with_overrides(base_url=url)


def test_whoever_has_all_that_a_plan_needs_may_begin(near: Profile) -> None:
    check(PLAN, [near], {})


@pytest.mark.parametrize(
    ("of_plan", "kind", "line"),
    [
        ({"tokenizer": "/nowhere/tokenizer.json"}, TokensError, "/nowhere/tokenizer.json"),
        ({"mode": "closed", "concurrency": 10_000_000}, OptionError, "--concurrency 10000000 needs 10000000 "),
    ],
)
def test_what_a_plan_needs_and_this_machine_has_not_is_one_line(
    near: Profile, of_plan: dict[str, Any], kind: type[Exception], line: str
) -> None:
    assert kind in MISTAKES
    with pytest.raises(kind, match=line) as raised:
        check(replace(PLAN, **of_plan), [near], {})
    assert "\n" not in str(raised.value)


def test_keys_are_this_machines_own(near: Profile) -> None:
    with pytest.raises(ProfileError, match="OPENAI_API_KEY is not set"):
        check(PLAN, [near, profiles.load("openai")], {})


@pytest.mark.parametrize(("allowed", "line"), [(False, "is plain http"), (True, "nothing reached at http://far.inv")])
def test_plain_http_into_the_world_is_allowed_by_who_made_the_plan(allowed: bool, line: str) -> None:
    """As run.json carries it."""
    plan = Plan.from_manifest({"plan": replace(PLAN, allow_insecure_http=allowed).to_json(), "profile": {}})
    with pytest.raises(TargetError, match=line):
        check(plan, [at("http://far.invalid/v1")], {})


def test_a_trace_is_read_from_what_came_with_the_plan(near: Profile, tmp_path: Path) -> None:
    """Its file is not on this machine."""
    PLAN.open_schedule().save(tmp_path / TRACE)
    check(replace(PLAN, arrivals="trace:/nowhere/trace.csv", max_in_flight=100), [near], {}, tmp_path)
