"""Plans as the command line makes them, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadtests.arms import Asked
from loadtests.given import Given
from loadtests.options import arm_of, plan_of

if TYPE_CHECKING:
    from loadtests.plan import Plan
    from loadtests.profiles import Profile


def planned(
    *profiles: Profile, model: str | None = None, params: tuple[str, ...] | list[str] = (), **given: Any
) -> Plan:
    """The plan of a run with these providers as its arms, one by one with the name of its profile."""
    names = ["default"] if len(profiles) == 1 else [profile.name for profile in profiles]
    sides = [Asked(name=name, model=model, params=tuple(params)) for name in names]
    arms = [arm_of(side, profile) for side, profile in zip(sides, profiles, strict=True)]
    return plan_of(arms, profiles, Given(**given))
