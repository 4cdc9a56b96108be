"""
One request, one record, whatever happens.

Sits between users (who asks what, and when) and wire: takes a connection, puts prepared bytes on it, sleeps until the
answer is over, and only then reads what the answer says. Refused, reset, timed out, cut in mid-stream or cancelled:
each ends as one `Record` with the stamps and tokens it reached.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import gevent

from loadtests import clock, columns, proxies
from loadtests.arrival import Arrival, GaveUpError
from loadtests.dialect import Answer, asked_choices, body_of, head
from loadtests.errors import Failure
from loadtests.reader import Reader
from loadtests.record import Record
from loadtests.redact import masker
from loadtests.targets import origin_of
from loadtests.wire import through_httpx
from loadtests.wire.exchange import Exchange
from loadtests.wire.httpx_exchange import HttpxExchange
from loadtests.wire.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.bodies import Bodies
    from loadtests.profiles import Profile
    from loadtests.wire.receiver import Receiver
    from loadtests.workload import Request

FIRST_LEAD_NS: Final = 400_000
LEAD_STEP_NS: Final = 20_000
MAX_LEAD_NS: Final = 500_000
MAX_LEAD_THROUGH_HTTPX_NS: Final = 1_500_000


@dataclass(frozen=True, slots=True)
class Target:
    """
    What all requests of an arm have in common: the provider, its model, its parameters.

    Attributes:
        counter: Counts the tokens of a text where the provider does not.
    """

    profile: Profile
    model: str
    params: dict[str, Any] = field(default_factory=dict)
    arm: str = "default"
    new_connections: bool = False
    counter: Callable[[str], int] | None = None


class Sender:
    """
    Sends the requests of one target from one process.

    Args:
        key: The provider's key, or None; it goes into the request head and nowhere else.
        worker: Number of this process in the run.
        keep: Takes each record.
        bodies: Takes the bodies of a share of the requests.

    Attributes:
        lead_ns: How long before its moment an open loop's arrival should be launched, so that it goes out on time.
        cancel_flag: What a request that is killed from now on says it was cancelled by.
    """

    def __init__(
        self, target: Target, receiver: Receiver, *, key: str | None, worker: int, keep: Callable[[Record], None],
        bodies: Bodies | None = None,
    ) -> None:  # fmt: skip
        self.target = target
        self.cancel_flag = "user_cancel"
        self.lead_ns = FIRST_LEAD_NS
        self._receiver = receiver
        self._worker = worker
        self._keep = keep
        self._bodies = bodies
        self._secrets = [key] if key else []
        close = target.new_connections
        self._heads = {stream: head(target.profile, key, stream=stream, close=close) for stream in (True, False)}
        patience = target.profile.timeouts
        self._connect_s = patience.connect
        profile, reuse = target.profile, not target.new_connections
        self._httpx = through_httpx.pool(receiver, profile.url, profile.http_version, profile.proxy, reuse=reuse)
        session = profile.session
        self._idle_ns = int((session.idle_s or 0) * 1e9) if session is not None else None
        self._answered_ns: int | None = None
        self._pool = Pool(receiver, origin_of(profile), reuse=reuse) if self._httpx is None else None
        self._secrets += proxies.secrets(profile.proxy)
        self._masked = masker(self._secrets)
        self._patience = {
            "first_byte_ns": int(patience.first_byte * 1e9),
            "silence_ns": int(patience.silence * 1e9),
            "total_ns": int(patience.total * 1e9),
        }

    def prepare(self, request: Request, scheduled_ns: int, **place: Any) -> Arrival:
        """The bytes of a request, made before its moment comes."""
        content = body_of(self.target.profile, self.target.model, self.target.params, request)
        data = b"%b%d\r\n\r\n%b" % (self._heads[request.stream], len(content), content)
        return Arrival(request, scheduled_ns, data, self.target.arm, body_bytes=len(content), **place)

    def send(self, arrival: Arrival) -> Record:
        """Send a request and wait for its answer; the record is kept even where this greenlet is killed meanwhile."""
        self._receiver.look()
        record = self.record(arrival)
        record.started_ns = self._receiver.now_ns()
        self._mark_cold(record)
        reader = self._new_reader(arrival)
        exchange = arrival.exchange = self._new_exchange(reader, record.started_ns)
        try:
            with self._patience_of(arrival):
                if isinstance(exchange, HttpxExchange):
                    self._exchange_through_httpx(arrival, record, exchange)
                else:
                    self._exchange(arrival, record, exchange)
        except Failure as failure:
            # Without its traceback: that would tie frame and exchange into a cycle that nobody collects.
            exchange.fail(failure.bare(), self._receiver.now_ns())
            self._conclude(arrival, record, exchange, reader)
        except GaveUpError:
            self._cancelled(record, exchange, reader, "gave_up")
        except BaseException:
            self._cancelled(record, exchange, reader, self.cancel_flag)
            raise
        else:
            self._conclude(arrival, record, exchange, reader)
        self._say(arrival, record, reader)
        return record

    def _mark_cold(self, record: Record) -> None:
        """A provider with sessions may open one for this request: none was answered yet, or not for long."""
        if self._idle_ns is None or record.started_ns is None:
            return
        idle_ns = None if self._answered_ns is None else record.started_ns - self._answered_ns
        if idle_ns is None or (self._idle_ns and idle_ns > self._idle_ns):
            record.flags = [*(record.flags or ()), "cold_session"]

    def _patience_of(self, arrival: Arrival) -> gevent.Timeout:
        """Where whoever asks is going to give up: the timer that ends the request then."""
        after_s = arrival.request.cancel_after_s
        if after_s is None:
            return gevent.Timeout(None)
        left_s = arrival.scheduled_ns / 1e9 + after_s - self._receiver.now_ns() / 1e9
        return gevent.Timeout(max(left_s, 0.0), GaveUpError)

    def _cancelled(self, record: Record, exchange: Exchange, reader: Reader, flag: str) -> None:
        """It was ended by us: keep what it had reached."""
        exchange.fail(Failure("reset", "cancelled"), self._receiver.now_ns())
        self._read(record, exchange, reader)
        columns.cancel(record, flag)
        self._keep(record)

    @staticmethod
    def _say(arrival: Arrival, record: Record, reader: Reader) -> None:
        """What the arrival's next turn rests on."""
        arrival.over_ns = record.scheduled_ns if record.end_ns is None else record.end_ns
        arrival.went_well = record.outcome == "ok"
        if arrival.keep_text:
            arrival.text = reader.answer.choices.content

    def record(self, arrival: Arrival) -> Record:
        """The record of an arrival of which nothing has happened yet."""
        request = arrival.request
        return Record(
            arm=self.target.arm,
            workload=request.workload,
            worker=self._worker,
            seq=request.seq,
            phase=arrival.phase,
            stream=request.stream,
            scheduled_ns=arrival.scheduled_ns,
            block=arrival.block,
            user=arrival.user,
            conversation=None if arrival.conversation is None else arrival.conversation.number,
            turn=arrival.turn,
            flags=list(arrival.flags) or None,
            prompt_hash=request.prompt_hash,
            output_cap=None if self._cuts and not request.stream else request.output_cap,
            input_chars=request.input_chars,
        )

    def close(self) -> None:
        """Close the idle connections."""
        for pool in (self._pool, self._httpx):
            if pool is not None:
                pool.close()

    @property
    def _cuts(self) -> bool:
        """The provider takes no cap: this side ends a stream that has reached it."""
        return self.target.profile.output_cap_param == "none"

    def _new_reader(self, arrival: Arrival) -> Reader:
        request = arrival.request
        n = asked_choices(self.target.profile, self.target.params, request.extra)
        cut_at = request.output_cap if self._cuts and request.stream else None
        answer = Answer(
            self.target.profile, n=n, cut_at=cut_at, counter=self.target.counter, keep_text=arrival.keep_text
        )
        return Reader(answer, keep_body=self._bodies is not None and self._bodies.wants(request.seq))

    # The timed path.

    def _new_exchange(self, reader: Reader, started_ns: int) -> Exchange:
        if self._httpx is None:
            exchange = Exchange(reader.choose, started_ns=started_ns, **self._patience)
            exchange.eager = reader.answer.cut_at is not None
            return exchange
        connect_ns = int(self._connect_s * 1e9)
        return HttpxExchange(reader.choose, connect_ns=connect_ns, started_ns=started_ns, **self._patience)

    def _exchange(self, arrival: Arrival, record: Record, exchange: Exchange) -> None:
        assert self._pool is not None
        connection = self._pool.take(self._connect_s)
        record.conn_reused, record.tls_version = connection.served > 0, connection.tls_version
        if not record.conn_reused:
            record.dns_s, record.connect_s, record.tls_s = connection.dns_s, connection.connect_s, connection.tls_s
        try:
            if arrival.user is None:
                self._hold(arrival.scheduled_ns, learn=record.conn_reused)
            connection.send(exchange, arrival.data, clock.monotonic_ns() + self._patience["total_ns"])
            record.sent_ns = exchange.sent_ns
            record.bytes_sent = len(arrival.data)
            exchange.wait()
        except BaseException as error:
            self._receiver.frame(exchange)  # an early answer may say why
            failure = error.bare() if isinstance(error, Failure) else Failure("reset", "given up")
            exchange.fail(failure, self._receiver.now_ns())
            raise
        finally:
            connection.done(exchange)

    def _exchange_through_httpx(self, arrival: Arrival, record: Record, exchange: HttpxExchange) -> None:
        """HTTP/2, or a proxy: what our own wire does not speak."""

        def ready() -> None:
            if arrival.user is None:
                self._hold(arrival.scheduled_ns, learn=bool(exchange.conn_reused))

        assert self._httpx is not None
        try:
            self._httpx.perform(exchange, arrival.data, ready)
        finally:
            for name in ("conn_reused", "connect_s", "tls_s", "tls_version", "sent_ns", "bytes_sent"):
                setattr(record, name, getattr(exchange, name))

    def _hold(self, due_ns: int, *, learn: bool) -> None:
        """
        Open loop: a request that is ready ahead of its moment waits for it here, in a loop of microseconds.

        Waking from idle and starting a greenlet take a few tenths of a millisecond, which would be in every latency.
        So arrivals are launched `lead_ns` early, and that lead learns how long it takes: up where a request was late,
        down by a tenth of that where it was early, which settles where 9 in 10 are ready in time.
        """
        ready_ns = self._receiver.now_ns()
        if learn:
            step_ns = LEAD_STEP_NS if ready_ns > due_ns else -LEAD_STEP_NS // 10
            longest_ns = MAX_LEAD_NS if self._httpx is None else MAX_LEAD_THROUGH_HTTPX_NS
            self.lead_ns = min(max(self.lead_ns + step_ns, 0), longest_ns)
        while ready_ns < due_ns:
            ready_ns = self._receiver.now_ns()

    # Afterwards.

    def _conclude(self, arrival: Arrival, record: Record, exchange: Exchange, reader: Reader) -> None:
        """Say in the record what came, and keep it."""
        try:
            self._read(record, exchange, reader)
            self._answered_ns = record.headers_ns if record.headers_ns is not None else self._answered_ns
        finally:
            self._keep(record)
            self._receiver.look()
        if self._bodies is not None and self._bodies.wants(record.seq):
            self._bodies.keep(record, arrival.data, exchange.headers, reader.whole())

    def _read(self, record: Record, exchange: Exchange, reader: Reader) -> None:
        self._receiver.frame(exchange)
        exchange.release()
        try:
            columns.wire_facts(record, exchange, self.target.profile)
            columns.judge(record, exchange, reader, self.target.model, self._secrets)
            columns.mask(record, self._masked)
        except Exception as error:  # noqa: BLE001 - a flaw of ours: it is shown, and the row says so
            gevent.get_hub().handle_error(self, *sys.exc_info())
            columns.outcome(record, Failure("protocol", f"firsttoken failed to read this answer: {error!r}"), [], [])
