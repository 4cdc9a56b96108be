"""
The Locust classes: who sends.

In closed loop a user sends, waits for the answer, thinks, and sends again; its `@task`s are Locust's. In open loop the
schedule calls `arrival` of whichever user's turn it is, and the users' number means nothing. A user finds the engine of
its process on the environment (`environment.firsttoken`).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import gevent
from locust import User
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING

from loadtests import clock, workload
from loadtests.asking import IDLE_S, asked, converse, take, turn
from loadtests.profiles import OWNED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from locust.env import Environment

    from loadtests.arrival import Arrival
    from loadtests.engine import Engine
    from loadtests.record import Record


ENGINE_S = 30.0


def ask(user: ChatUser) -> None:
    """The task of a user without tasks: the workload's next request; in open loop, to be there until the end."""
    if user.engine.plan.mode == "closed":
        user.complete()
        # Locust would sleep for 0 s now, in the hub's queue, fifty of which run before anybody is looked after.
        while user.wait_time() == 0 and user._state == LOCUST_STATE_RUNNING:  # noqa: SLF001 - Locust has no other word
            user.complete()
        return
    while user.engine.offering:
        gevent.sleep(IDLE_S)
    raise StopUser


class ChatUser(User):
    """
    Sends chat completions to the run's provider; whether an answer is streamed is drawn by the workload.

    Subclass it and write `@task`s to script a user of your own; each `self.complete(...)` is one record.

    Attributes:
        stream: True or False asks for that kind of answer always; None leaves it to the workload.
    """

    abstract = True
    stream: ClassVar[bool | None] = None
    tasks = [ask]  # noqa: RUF012 - Locust declares it as the instance's

    def __init_subclass__(cls) -> None:
        """Locust adds a class' tasks to those of its bases; ours is only for classes that bring none."""
        super().__init_subclass__()
        cls.tasks = [task for task in cls.tasks if task is not ask] or [ask]

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        until = clock.monotonic_ns() + int(ENGINE_S * 1e9)
        while not hasattr(environment, "firsttoken") and clock.monotonic_ns() < until:
            gevent.sleep(IDLE_S)  # a Locust worker that has just joined a test that is on
        self.engine: Engine = environment.firsttoken  # type: ignore[attr-defined]
        self.index = self.engine.places.enter(self)

    def wait_time(self) -> float:
        """The plan's think time, or the conversation's; a subclass may set Locust's `wait_time` as usual."""
        return self.engine.places.pause_s(self.index, self.engine.course.slot)

    def on_stop(self) -> None:
        """Give the place back, so that a user who comes later can have it."""
        self.engine.leave(self.index)

    def arrival(self, arrival: Arrival) -> Record:
        """Open loop: the schedule's moment has come; send."""
        return self.engine.send(arrival)

    def complete(
        self,
        messages: str | Sequence[dict[str, Any]] | None = None,
        *,
        stream: bool | None = None,
        output_tokens: int | None = None,
        name: str | None = None,
        **fields: Any,
    ) -> Record:
        """
        Closed loop: send one chat completion and wait for its answer.

        Args:
            messages: What to ask, a text being one message of the user; None: the workload's next request.
            stream: Overrides the class and the workload.
            output_tokens: The cap to send, instead of the run's or the workload's.
            name: What the record's `workload` column and Locust's tables call it; with messages, "task" unless said.
            **fields: More fields of the body, such as `tools` or `response_format`.

        Returns:
            The record, whatever became of the request.

        Raises:
            StopUser: The run offers no more load.
        """
        stream = self.stream if stream is None else stream
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
        while (taken := take(self.engine, self.index)) is not None:
            slot, seq = taken
            if messages is None:
                request, talk = asked(self.engine, self.index, slot, seq)
            else:
                request, talk = _request(seq, tuple(messages), self.engine.plan.output_tokens), None
            label = name or (request.workload if messages is None else "task")
            request = _as_wanted(request, label, stream, output_tokens, fields)
            arrival = turn(self.engine, request, self.index, slot)
            if arrival is not None:
                return converse(self.engine, arrival, talk, self.index, slot)
            self.engine.places.give_back(self.index, slot)
        raise StopUser


class StreamingUser(ChatUser):
    """Asks for streamed answers only."""

    abstract = True
    stream = True


class PlainUser(ChatUser):
    """Asks for whole answers only."""

    abstract = True
    stream = False


class MixedUser(ChatUser):
    """Streams as often as the run's `--stream-share` says; what `firsttoken run` uses."""


def _request(seq: int, messages: tuple[dict[str, Any], ...], output_cap: int | None) -> workload.Request:
    """A request of a user's own messages, streamed and with the run's cap unless said."""
    chars = sum(len(str(message.get("content") or "")) for message in messages)
    return workload.Request(
        seq,
        "task",
        messages,
        stream=True,
        output_cap=output_cap,
        prompt_hash=workload.prompt_hash(messages),
        input_chars=chars,
    )


def _as_wanted(
    request: workload.Request, name: str, stream: bool | None, output_tokens: int | None, fields: dict[str, Any]
) -> workload.Request:
    """The request with what the caller wants changed."""
    for taken in sorted(OWNED.keys() & fields):
        why = "give output_tokens=" if OWNED[taken] == "--output-tokens" else f"it comes from {OWNED[taken]}"
        raise TypeError(f"complete() takes no {taken}=: {why}")
    changes: dict[str, Any] = {}
    if name != request.workload:
        changes["workload"] = name
    if stream is not None and stream != request.stream:
        changes["stream"] = stream
    if output_tokens is not None:
        changes["output_cap"] = output_tokens
    if fields:
        changes["extra"] = {**request.extra, **fields}
    return replace(request, **changes) if changes else request


def has_tasks(user_class: type[User]) -> bool:
    """Whether a class brings tasks of its own, which only closed loop can run."""
    return list(user_class.tasks) != [ask]


def deliver_to(users: Callable[[], Sequence[ChatUser]]) -> Callable[[Arrival], object]:
    """What hands each arrival to the next of the users in turn."""
    turn = count()

    def deliver(arrival: Arrival) -> object:
        present = users()
        return present[next(turn) % len(present)].arrival(arrival)

    return deliver


def fire(environment: Environment, record: Record) -> None:
    """Tell Locust's own listeners: one event per request, in milliseconds, as they expect it."""
    if record.end_ns is None:
        return
    request: Any = environment.events.request
    request.fire(
        request_type="STREAM" if record.stream else "POST",
        name=record.workload,
        response_time=(record.end_ns - record.scheduled_ns) / 1e6,
        response_length=record.bytes_received or 0,
        # The kind alone: Locust keeps every distinct text for ever, and texts hold request ids.
        exception=None if record.outcome == "ok" else record.error_kind or record.outcome,
        context={},
        url=None,
        response=None,
        record=record,
    )
