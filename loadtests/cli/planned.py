"""What the options of a verb that makes load mean, decided: whom it goes to, the plan, where the workers are."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Collection

    from loadtests.campaign import Campaign
    from loadtests.cli.stored import Outlet
    from loadtests.rundir import Setup

BUDGETS: Final = ("budget_requests", "budget_tokens", "budget_cost")
WATCHED: Final = ("metrics_port", "metrics_host")
"""Options that change nothing of a run, but who looks on."""

GOES_ON: Final = {"resume", "repeats", "rest", *BUDGETS, "dry_run", "yes", "no_report", "as_json", *WATCHED}
"""Options that may be given with --resume: all else stays as it was."""


def setup_of(given: dict[str, Any]) -> Setup:
    """
    What the options mean: whom, the plan, and where the workers come from; notes for people are said on the way.

    Args:
        given: By the names of the table; what a verb leaves out is not asked for. Objectives become texts.

    Returns:
        A setup whose place is not known yet; see `placed`.

    Raises:
        ProfileError, ArmError, OptionError, ScheduleError, WorkloadError, BudgetError: A mistake, in one line.
    """
    from pathlib import Path

    from loadtests.arms import Asked, asked, provider
    from loadtests.cli.before import argv, labels_of, objectives_of, refuse_key, remote_of, stem
    from loadtests.forecast import check_budget
    from loadtests.given import Given
    from loadtests.options import arm_of, plan_of, warnings_of
    from loadtests.rundir import Setup

    remote = remote_of(given)
    given["objectives"] = objectives_of(given["objectives"])
    given["workers"] = given["expect_workers"] or given["workers"] or 1
    common = Asked(
        base_url=given["base_url"], proxy=given["proxy"], http2=given["http2"], model=given["model"],
        params=given["params"], variables=given["variables"], new_connections=given["new_connections"],
    )  # fmt: skip
    sides = asked(given["profiles"], given["arms"], common)
    profiles = [provider(side, allow_insecure_http=given["allow_insecure_http"]) for side in sides]
    words = {"--model": [given["model"]], "--base-url": [given["base_url"]], "--label": given["label"]}
    refuse_key(profiles, words | {"--var": given["variables"], "--param": given["params"], "--arm": given["arms"]})
    labels = labels_of(given["label"])
    arms = [arm_of(side, profile) for side, profile in zip(sides, profiles, strict=True)]
    names = [field.name for field in fields(Given)]
    plan = plan_of(arms, profiles, Given(**{name: given[name] for name in names if name in given}))
    check_budget(profiles, plan)
    for warning in warnings_of(profiles, plan, 0 if given["expect_workers"] else None):
        click.echo(f"note: {warning}", err=True)
    name = stem("-vs-".join(dict.fromkeys(profile.name for profile in profiles)))
    return Setup(plan, profiles, Path(), name, argv(), labels, remote=remote)


def placed(setup: Setup, out: Outlet) -> Setup:
    """The setup of a run that is made there."""
    return replace(setup, out=out.path, name=setup.name + out.suffix)


def refuse_changes(ctx: click.Context, goes_on: Collection[str], what: str = "an existing campaign") -> None:
    """
    Refuse what cannot change in a campaign that is gone on with, or told again.

    Args:
        ctx: Of a verb with --resume.
        goes_on: The names of options that may be given with it.
        what: It, in words.
    """
    from click.core import ParameterSource

    for option in ctx.command.params:
        name = option.name or ""
        if name not in goes_on and ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            resume = ctx.params["resume"]
            without = "" if resume is None else f" without --resume {resume}"
            raise click.UsageError(
                f"{option.opts[0]} cannot change in {what}; leave it out, or start another one{without}"
            )


def roomier(campaign: Campaign, given: dict[str, Any]) -> None:
    """Give a campaign that is gone on with another rest and other budgets, where they were asked for."""
    caps = {name: given[name] for name in BUDGETS if given[name] is not None}
    campaign.setup = replace(campaign.setup, plan=replace(campaign.setup.plan, **caps))
    campaign.rest_s = campaign.rest_s if given["rest"] is None else given["rest"]
