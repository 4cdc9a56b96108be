"""`--metrics-port`: the endpoint that a command's runs have in common, and a view that tells it of each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadtests.exposed import Endpoint
    from loadtests.fleet import Fleet
    from loadtests.rundir import Setup
    from loadtests.standing import Following
    from loadtests.watch import View

HOST: Final = "127.0.0.1"


@contextmanager
def exposed(given: Mapping[str, Any]) -> Iterator[Endpoint | None]:
    """
    The endpoint that is asked for, its address said; None where none is.

    Raises:
        click.UsageError: A host without a port.
        EndpointError: Nothing can listen there.
    """
    port, host = given["metrics_port"], given["metrics_host"]
    if port is None:
        if host is not None:
            raise click.UsageError(f"--metrics-host {host}: says where --metrics-port listens; give that, too")
        yield None
        return
    from loadtests.exposed import Endpoint

    with Endpoint(host or HOST, port) as endpoint:
        click.echo(f"metrics: {endpoint.url}", err=True)
        yield endpoint


class Beside:
    """
    A view beside which the endpoint is told how a run stands.

    Args:
        view: What people see.
        endpoint: Listening.
        setup: Of the run.
        following: Says how it stands.
    """

    def __init__(self, view: View, endpoint: Endpoint, setup: Setup, following: Following) -> None:
        self._view, self._endpoint, self._following = view, endpoint, following
        self._campaign, self._info = setup.campaign, info_of(setup)

    def __enter__(self) -> Self:
        self._view.__enter__()
        return self

    def __exit__(self, *why: object) -> None:
        self._view.__exit__(*why)

    def update(self, fleet: Fleet, elapsed_s: float) -> None:
        """Tell both."""
        name = fleet.parts.parent.name
        run = name if self._campaign is None else f"{self._campaign.campaign_id}/{name}"
        self._endpoint.tell(self._following.at(fleet), {"run": run, **self._info})
        self._view.update(fleet, elapsed_s)

    def say(self, text: str) -> None:
        """One line for people."""
        self._view.say(text)


def info_of(setup: Setup) -> dict[str, str]:
    """What a run is, as labels."""
    from loadtests.forecast import load_phrase

    return {
        "profile": ", ".join(dict.fromkeys(profile.name for profile in setup.profiles)),
        "model": ", ".join(dict.fromkeys(arm.model for arm in setup.plan.arms)),
        "load": load_phrase(setup.plan),
    }
