"""
firsttoken inside plain Locust: import this from a locustfile, and a test that Locust starts is a run of ours.

    from locust import between, task
    from loadtests.plugin import ChatUser

    class Reader(ChatUser):
        wait_time = between(1, 3)

        @task
        def ask(self):
            self.complete([{"role": "user", "content": "Name three rivers."}], output_tokens=64)

`locust -f that.py --provider mock` then writes `results/<run>/` like `firsttoken run` does, web UI or not. Locust says
when to start and stop and how many users there are; with `--rate` the schedule sends and their number means nothing.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gevent
from locust import events
from locust.runners import MasterRunner, WorkerRunner

from loadtests import schedule
from loadtests.arms import Asked
from loadtests.budget import BudgetError
from loadtests.contradictions import OptionError
from loadtests.defaults import ENDS_ITSELF, beyond_defaults
from loadtests.draws import LawError
from loadtests.forecast import check_budget
from loadtests.given import Given
from loadtests.guard import guard, masked, masking
from loadtests.locust_master import LocustMaster
from loadtests.locust_run import LocustRun
from loadtests.locust_shape import Stages
from loadtests.locust_tab import add_tab
from loadtests.locust_worker import LocustWorker
from loadtests.options import arm_of, plan_of, warnings_of
from loadtests.profiles import ProfileError
from loadtests.schedule import ScheduleError
from loadtests.targets import TargetError, is_local
from loadtests.units import UnitError, output_cap, per_second, seconds
from loadtests.users import ChatUser, MixedUser, PlainUser, StreamingUser, has_tasks
from loadtests.watch import GRACE_S
from loadtests.workload import WorkloadError

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser
    from locust.env import Environment

    from loadtests.units import Cap

__all__ = ["ChatUser", "MixedUser", "PlainUser", "StreamingUser"]

logger = logging.getLogger("firsttoken")
BACK_AFTER_STOP: Final = "LOCUST_WORKER_ADDITIONAL_WAIT_BEFORE_READY_AFTER_STOP"
"""Of Locust's environment: seconds on top of the stop timeout until a stopped worker says that it is ready again."""

_MISTAKES: Final = (
    BudgetError, LawError, OptionError, ProfileError, ScheduleError, TargetError, UnitError, WorkloadError,
)  # fmt: skip


def add_options(parser: LocustArgumentParser) -> None:
    """Our options, none with a name of Locust's; the web UI is on loopback unless asked."""
    parser.set_defaults(web_host="127.0.0.1")
    group = parser.add_argument_group("firsttoken", "What is asked, of whom, and when. See also: firsttoken run --help")
    add = group.add_argument
    add("--provider", default="mock", env_var="FIRSTTOKEN_PROVIDER", help="shipped profile or TOML file")
    add("--base-url", default="", env_var="FIRSTTOKEN_BASE_URL", help="base URL, instead of the profile's")
    add("--proxy", default="", env_var="FIRSTTOKEN_PROXY", help="a proxy's URL; empty: HTTPS_PROXY and its like")
    add("--http2", action="store_true", help="speak HTTP/2 (needs the extra http2)")
    add("--model", default="", env_var="FIRSTTOKEN_MODEL", help="the model to ask for; empty: the profile's")
    add("--workload", default="chat", help="what is asked if a task brings no messages: preset, TOML file or mix")
    add("--output-tokens", default="", help="the output cap sent, or: workload; empty: workload, 64 if remote")
    add("--stream-share", type=float, default=-1.0, help="share of streamed answers, 0 to 1; -1: as the workload says")
    add("--rate", default="", help="open loop: arrivals per second (8, 8/s, 90/m); empty: closed loop")
    add("--arrivals", default="", help="open loop: poisson, constant, gamma:CV, burst:N or trace:FILE")
    add("--stages", default="", help="the load over time: TOML stages of rate, or of concurrency instead of -u and -r")
    add("--trace-speed", type=float, default=0.0, help="play a trace this many times as fast; 0: as it is")
    add("--trace-start", default="", help="skip this much of a trace's beginning")
    add("--max-in-flight", type=int, default=0, help="open loop: at most this many at once; others wait; 0: no cap")
    add("--think", default="", help="closed loop: a user's pause where the class has no wait_time, like exponential:2s")
    add("--duration", default="", help="length of an open loop's schedule; empty: its own, else --run-time, else 1h")
    add("--requests", type=int, default=0, help="most requests to send; 0: as the target allows")
    add("--var", action="append", default=[], help="NAME=VALUE, fills {NAME} in the profile's URL; repeatable")
    add("--budget-requests", type=int, default=0, help="send at most this many requests; 0: no cap")
    add("--budget-tokens", type=int, default=0, help="spend at most this many tokens, input and output; 0: no cap")
    add("--budget-cost", type=float, default=0.0, help="spend at most this much, by the profile's prices; 0: no cap")
    add("--accept-throttling", action="store_true", help="go on even if the provider throttles again and again")
    add("--accept-errors", action="store_true", help="go on even if most requests fail")
    add("--allow-insecure-http", action="store_true", help="let plain http leave this machine and private networks")
    add("--yes", action="store_true", help="send a remote provider more than the careful defaults")
    add("--seed", type=int, default=1, help="seed of the schedule and the prompts")
    add("--out", default="results", help="where run directories are made")


def on_init(environment: Environment, runner: Any, web_ui: Any, **_: Any) -> None:
    """Refuse what cannot work before anything starts; then listen."""
    guard([])
    if isinstance(runner, WorkerRunner):
        _listen_on_worker(environment)
        return
    try:
        profile, plan = planned(environment, 1)
        for note in warnings_of([profile], plan, 0 if isinstance(runner, MasterRunner) else None):
            logger.info("note: %s", note)
    except _MISTAKES as error:
        _exit(str(error).replace("--profile ", "--provider "))
    if not environment.stop_timeout:
        environment.stop_timeout = GRACE_S  # Locust's default kills requests in flight
    runner.log_exception = masking(runner.log_exception)  # the web UI shows what users' tasks raise
    if plan.mode == "closed" and plan.stages:
        if environment.shape_class is not None:
            _exit("--stages and a LoadTestShape both say how many users there are; drop one of the two")
        environment.shape_class = Stages(plan.closed_schedule())
        environment.shape_class.runner = runner
    run = (LocustMaster if isinstance(runner, MasterRunner) else LocustRun)(environment, planned)
    on: Any = environment.events
    if isinstance(run, LocustMaster):
        on.worker_report.add_listener(run.on_report)
    on.test_start.add_listener(run.on_start)
    on.test_stopping.add_listener(run.on_stopping)
    on.test_stop.add_listener(run.on_stop)
    on.quitting.add_listener(run.on_quitting)
    if web_ui is not None:
        add_tab(web_ui, run.tab)
    gevent.get_hub().loop.update_now()  # after long imports: what Locust times from here, -t first, counts from now


def _listen_on_worker(environment: Environment) -> None:
    """Of Locust's options a worker needs `--out` alone: all else is the master's."""
    if not environment.stop_timeout:
        environment.stop_timeout = GRACE_S
    worker = LocustWorker(environment)
    on: Any = environment.events
    on.test_stopping.add_listener(worker.on_stopping)
    if BACK_AFTER_STOP not in os.environ:
        # Locust keeps a stopped worker back for the stop timeout again, in which its page can start no test.
        on.test_stopping.add_listener(
            lambda environment, **_: os.environ.update({BACK_AFTER_STOP: str(-int(environment.stop_timeout or 0))})
        )
    on.quitting.add_listener(worker.on_quitting)
    on.report_to_master.add_listener(worker.on_report)


def planned(environment: Environment, users: int) -> tuple[Any, Any]:
    """The profile and the plan that Locust's options ask for, as they stand now (the web UI can change them)."""
    options: Any = environment.parsed_options
    asked = Asked(
        name="default", profile=options.provider, base_url=options.base_url or None, proxy=options.proxy or None,
        http2=options.http2, model=options.model or None, variables=tuple(options.var),
    )  # fmt: skip
    profile = asked.provider(allow_insecure_http=options.allow_insecure_http)
    given = _given(options, users)
    is_open = _refuse(environment, given)
    plan = plan_of([arm_of(asked, profile)], [profile], given)
    check_budget([profile], plan)
    if is_local(profile):
        # Locust says when to stop; only a schedule, or stages, have a length of their own.
        plan = plan if is_open or plan.stages else replace(plan, duration_s=None)
        if not is_open and environment.shape_class is not None and not plan.stages:
            plan = replace(plan, shape=type(environment.shape_class).__name__)
    elif (more := beyond_defaults([profile], plan)) and not options.yes:
        raise OptionError(
            f"{profile.base_url} is remote, and this asks for {', '.join(more)}; add --yes if that is intended"
        )
    return profile, plan


def _given(options: Any, users: int) -> Given:
    """Locust's options as ours."""
    rate = per_second(options.rate) if options.rate else None
    stages = options.stages or None
    alone = (options.arrivals or "").startswith(ENDS_ITSELF)
    closed = rate is None and stages is None and not alone
    return Given(
        workload=options.workload,
        output_tokens=_cap(options.output_tokens),
        stream_share=None if options.stream_share == -1 else options.stream_share,
        rate=rate,
        concurrency=max(1, users) if closed else None,
        arrivals=options.arrivals or None,
        stages=stages,
        trace_speed=options.trace_speed or None,
        trace_start=seconds(options.trace_start) if options.trace_start else None,
        duration=_duration(options) if rate is not None or (not closed and options.duration) else None,
        requests=options.requests or None,
        max_in_flight=options.max_in_flight or None,
        think=options.think or None,
        seed=options.seed,
        budget_requests=options.budget_requests or None,
        budget_tokens=options.budget_tokens or None,
        budget_cost=options.budget_cost or None,
        allow_insecure_http=options.allow_insecure_http,
        accept_throttling=options.accept_throttling,
        accept_errors=options.accept_errors,
    )


def _cap(text: str) -> Cap | None:
    """The output cap; None where nothing was said."""
    try:
        return output_cap(text) if text else None
    except UnitError as error:
        raise OptionError(f"--output-tokens {error}") from None


def _refuse(environment: Environment, given: Given) -> bool:
    """
    Refuse what Locust's users and a schedule of ours cannot do together.

    Returns:
        Whether a schedule sends.

    Raises:
        OptionError: They contradict each other.
    """
    options: Any = environment.parsed_options
    stages = schedule.read_stages(Path(given.stages)) if given.stages else ()
    is_open = given.concurrency is None and not any(stage.kind == "concurrency" for stage in stages)
    own = [user.__name__ for user in environment.user_classes if issubclass(user, ChatUser) and has_tasks(user)]
    if is_open and own:
        what = next(
            f"--{name} {getattr(options, name)}" for name in ("rate", "stages", "arrivals") if getattr(options, name)
        )
        raise OptionError(
            f"{what} is an open loop, in which the schedule sends, but {', '.join(own)} has @task"
            " methods, which are a closed loop; drop one of the two"
        )
    if not is_open and options.duration:
        raise OptionError(
            f"--duration {options.duration} is the length of an open loop's schedule; give --rate, or use -t"
        )
    return is_open


def _duration(options: Any) -> float:
    """Length of an open loop's schedule in seconds: asked for, or Locust's own run time, or an hour."""
    if options.duration:
        return seconds(options.duration)
    run_time = options.run_time
    if isinstance(run_time, str):
        return seconds(run_time)
    return float(run_time or 3600)


def _exit(text: str) -> None:
    sys.stderr.write(f"firsttoken: {' '.join(masked(text).split())}\n")
    sys.exit(2)


_events: Any = events
_events.init_command_line_parser.add_listener(add_options)
_events.init.add_listener(on_init)
