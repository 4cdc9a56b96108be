"""What came back for one request, read by the same decoder, dialect and columns as the answers of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from loadtests import columns
from loadtests.dialect import Answer, loose
from loadtests.errors import Failure, refusal
from loadtests.probe.ask import CUT_AT
from loadtests.reader import Reader
from loadtests.record import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.probe.ask import Ask
    from loadtests.profiles import Profile
    from loadtests.sse import Event
    from loadtests.wire.body import Take
    from loadtests.wire.exchange import Exchange


class Listening(Answer):
    """An answer that also keeps its events as they came."""

    __slots__ = ("events",)

    def __init__(self, profile: Profile) -> None:
        super().__init__(profile, n=1, cut_at=CUT_AT)
        self.events: list[Event] = []

    def event(self, event: Event) -> bool:
        """Keep an event, and take it as every answer does."""
        self.events.append(event)
        return super().event(event)


@dataclass(frozen=True, slots=True)
class Seen:
    """
    One request and what came of it; stamps in ns since it was sent, by this process' clock.

    Attributes:
        record: The row that a run would have written; None for what is no chat completion.
        headers: Of the response, names in lower case, as they came.
        body: Where it did not come as events.
        events: Where it did: (stamp, data, name).
        failure: How the wire failed, if it did.
        address: This side's address of the connection; the same one twice: it was reused.
    """

    ask: Ask
    status: int | None
    http_version: str | None
    headers: tuple[tuple[str, str], ...]
    body: bytes
    events: tuple[Event, ...]
    record: Record | None
    answer: Answer
    failure: Failure | None
    headers_ns: int | None
    end_ns: int
    address: str | None = None

    @property
    def good(self) -> bool:
        """Its status is 2xx."""
        return 200 <= (self.status or 0) < 300

    @property
    def ok(self) -> bool:
        """A run's row would say ok."""
        return self.record is not None and self.record.outcome == "ok"

    @property
    def whole_stream(self) -> bool:
        """It came as events, from the first to the last: what is not there was not sent."""
        broken = (self.failure and not self.ok) or self.answer.failure or self.answer.cut
        ended = self.answer.done or self.answer.choices.finished
        return self.good and bool(self.events) and ended and not broken

    @property
    def said(self) -> str:
        """How it went, in a line: ok, or what a run's row would say of it."""
        if self.record is not None:
            return "ok" if self.ok else f"{self.record.error_kind}: {self.record.error}"
        if self.failure is not None:
            return f"{self.failure.kind}: {self.failure.text}"
        return f"HTTP {self.status}" if not self.good else "ok"

    @property
    def chunks(self) -> list[dict[str, Any]]:
        """The events that are JSON objects."""
        values = (loose.body(data)[0] for _, data, _ in self.events)
        return [value for value in values if isinstance(value, dict)]

    @property
    def value(self) -> Any:
        """The body as JSON; None where it is none."""
        return loose.body(self.body)[0] if self.body else None

    @property
    def values(self) -> list[dict[str, Any]]:
        """All JSON objects that came, as events or whole."""
        return [self.value] if isinstance(self.value, dict) else self.chunks

    def header(self, name: str) -> str | None:
        """The first value of a header; None where it did not come."""
        return next((value for key, value in self.headers if key == name.lower()), None)


class Hearing:
    """
    Stands where a run has its exchange: takes head and body with their stamps, and tells in the end what was seen.

    Attributes:
        stopped: No more of the body is wanted.
        The others are what `Reader` and `columns` look at in an exchange; see there.
    """

    def __init__(self, profile: Profile, ask: Ask, model: str, secrets: Sequence[str] = ()) -> None:
        self._profile, self._ask, self._model, self._secrets = profile, ask, model, list(secrets)
        self._pairs: tuple[tuple[str, str], ...] = ()
        self._answer = Listening(profile)
        self._reader = Reader(self._answer)
        self.take: Take | None = None
        self.skim: Any = None
        self.silence_ns = 0
        self.stopped = False
        self.status: int | None = None
        self.http_version: str | None = None
        self.headers: dict[bytes, bytes] = {}
        self.headers_ns: int | None = None
        self.end_ns: int | None = None
        self.received = self.wake_lag_max_ns = 0
        self.kernel = False
        self.failure: Failure | None = None

    def head(self, status: int, http_version: str, headers: Sequence[tuple[str, str]], stamp: int) -> None:
        """The response's head."""
        self.status, self.http_version, self.headers_ns = status, http_version, stamp
        self._pairs = tuple((name.lower(), value) for name, value in headers)
        self.headers = {name.encode("latin-1"): value.encode("latin-1") for name, value in self._pairs}
        try:
            self.take = self._reader.choose(cast("Exchange", self))
        except Failure as failure:
            self.fail(failure)

    def feed(self, data: bytes, stamp: int) -> bool:
        """Some bytes of the body; whether there was something in them beside keep-alives."""
        self.received += len(data)
        if self.take is None or self.stopped:
            return False
        try:
            return self.take(data, stamp)
        except (Failure, ValueError) as error:
            self.fail(refusal(error))
            return False

    def fail(self, failure: Failure) -> None:
        """It went wrong on the way; nothing more will come."""
        self.failure = self.failure or failure.bare()
        self.stopped = True

    def stop(self, _stamp: int) -> None:
        """The answer has what is wanted of it."""
        self.stopped = True

    def seen(self, stamp: int, address: str | None = None) -> Seen:
        """The body is over: what it was."""
        self.end_ns = stamp
        body = self._reader.whole() if not self._reader.streamed else b""
        record = self._record() if self._ask.method == "POST" else None
        events = tuple(self._answer.events)
        return Seen(
            self._ask, self.status, self.http_version, self._pairs, body, events, record, self._answer, self.failure,
            self.headers_ns, stamp, address,
        )  # fmt: skip

    def _record(self) -> Record:
        """The row of this request, made as a run makes it."""
        record = Record(
            arm="probe", workload="probe", worker=0, seq=0, phase="measure", stream=self._ask.stream, scheduled_ns=0
        )
        record.started_ns = record.sent_ns = 0
        exchange = cast("Exchange", self)
        columns.wire_facts(record, exchange, self._profile)
        columns.judge(record, exchange, self._reader, self._model, self._secrets)
        return record
