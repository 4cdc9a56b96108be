"""
Whether a machine can make the load that another one's plan asks for: it has keys, ways and limits of its own.

The master has seen to its own already; each worker elsewhere says at the start what it cannot do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtests import connections, limits, targets, tokens
from loadtests.contradictions import OptionError
from loadtests.profiles import ProfileError
from loadtests.targets import TargetError
from loadtests.tokens import TokensError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from loadtests.plan import Plan
    from loadtests.profiles import Profile

MISTAKES: Final = (ProfileError, TargetError, TokensError, OptionError)
"""What keeps a machine from it; each is one line."""


def check(plan: Plan, profiles: Sequence[Profile], environ: Mapping[str, str], inputs: Path | None = None) -> None:
    """
    See whether a worker process of this machine can do its part.

    Args:
        plan: Of the run.
        profiles: Of the plan's arms, in their order.
        environ: Where the profiles' keys are looked up.
        inputs: Folder of what the run's workload and its schedule were read from.

    Raises:
        ProfileError: A key is missing.
        TargetError: A provider is not reached, or only over a way that nobody has allowed.
        TokensError: The tokenizer is missing.
        OptionError: More connections than open files or local ports.
    """
    for profile in profiles:
        profile.api_key(environ)
        targets.refuse_open_way(profile, allowed=plan.allow_insecure_http)
        targets.reach(profile)
    if plan.tokenizer is not None:
        tokens.load(plan.tokenizer)
    connections.refuse(plan, profiles, limits.read(), here=1, inputs=inputs)
