"""The master's book: no cap is exceeded, whatever is late or lost, and in good order all of it is spent."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_budget import VLLM, record, request

from loadtests.budget import WAIT, Budget
from loadtests.lease import Lease, hunger
from loadtests.ledger import Answer, Ledger, Told
from loadtests.plan import Plan
from loadtests.tally import Caps, Spend

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTHING = Told(Spend(), Spend(), 0)


def asking(seen: int = 0, *, want: int = 0, short: int = 0, under_way: int = 0, returned: int = 0) -> Told:
    return Told(Spend(seen), Spend(returned), under_way, Spend(want), Spend(short))


def test_who_asks_gets_its_fair_share_or_what_it_wants() -> None:
    """Of 1000, four workers: 1000 / 8 = 125; then (1000 - 125) / 8 = 109; then 300, since it is wanted."""
    ledger = Ledger(Caps(requests=1000), workers=4)

    assert ledger.ask(0, NOTHING) == Answer(Spend(125))
    assert ledger.ask(1, asking(want=8)) == Answer(Spend(109))
    assert ledger.ask(2, asking(want=300)) == Answer(Spend(300))
    assert ledger.free == Spend(1000 - 125 - 109 - 300)
    assert ledger.ask(3, asking(want=999)) == Answer(Spend(466))  # all that is free


def test_an_answer_that_got_lost_is_given_again_and_nothing_on_top() -> None:
    ledger = Ledger(Caps(requests=1000), workers=1)

    assert ledger.ask(0, asking(want=8)) == Answer(Spend(500))
    assert ledger.ask(0, asking(want=8)) == Answer(Spend(500))
    assert ledger.ask(0, asking(500, want=8)) == Answer(Spend(750))


def test_where_nothing_is_free_the_others_are_recalled_before_it_is_called_spent() -> None:
    """Worker 1 holds all 10. It has sent 7 and gives 3 back; with these 3 sent by worker 0 nothing is left."""
    ledger = Ledger(Caps(requests=10), workers=2)
    assert ledger.ask(1, asking(want=10)) == Answer(Spend(10))

    assert ledger.ask(0, asking(want=8)) == Answer(Spend())  # nobody waits there
    assert ledger.ask(0, asking(want=8, short=1)) == Answer(Spend(), recall=(1,))
    ledger.returned(1, asking(10, returned=3, under_way=2))
    assert ledger.ask(0, asking(want=8, short=1)) == Answer(Spend(3))
    assert ledger.ask(0, asking(3, want=8, short=1)) == Answer(Spend(3), recall=(1,))  # two are under way there
    ledger.returned(1, asking(10, returned=3))
    assert ledger.ask(0, asking(3, want=8, short=1, under_way=3)) == Answer(Spend(3))  # its own may turn out cheaper
    assert ledger.ask(0, asking(3, want=8, short=1)) == Answer(
        Spend(3), spent="--budget-requests 10 is spent: the next request may take it to 11"
    )


def test_a_return_sent_before_a_grant_arrived_does_not_count_as_drained() -> None:
    ledger = Ledger(Caps(requests=10), workers=1)
    assert ledger.ask(1, asking(want=9)) == Answer(Spend(9))
    ledger.returned(1, NOTHING)

    assert ledger.ask(0, asking(short=2)) == Answer(Spend(), recall=(1,))


def test_what_a_lost_worker_had_counts_as_spent_and_its_comeback_starts_anew() -> None:
    ledger = Ledger(Caps(requests=10), workers=1)
    assert ledger.ask(1, asking(want=6)) == Answer(Spend(6))
    ledger.lost(1)

    assert ledger.free == Spend(4)
    ledger.returned(1, asking(6, returned=6))  # too late: it was written off
    assert ledger.free == Spend(4)
    assert ledger.ask(1, asking(want=4)) == Answer(Spend(4))
    assert ledger.ask(0, asking(short=1)).recall == (1,)
    ledger.done(1, Spend(4))
    assert ledger.ask(0, asking(short=1)).spent == (
        "--budget-requests 10 is spent: the next request may take it to 11"
        " (what was leased to lost workers counts as spent)"
    )


def test_an_orderly_end_frees_what_was_not_taken() -> None:
    ledger = Ledger(Caps(tokens=100), workers=1)
    told = Told(Spend(), Spend(), 0, Spend(0, 100, 0.0))
    assert ledger.ask(0, told) == Answer(Spend(0, 100, 0.0))
    ledger.done(0, Spend(5, 30, 0.1))

    assert ledger.free == Spend(0, 70, 0.0)


def test_what_is_told_survives_json() -> None:
    """Money too, to the last bit: what a machine has seen is compared with what was granted."""
    told = Told(Spend(1 << 40, 1 << 50, 0.1 + 0.2), Spend(3), 4, Spend(5), Spend(0, 6, 1e-300))

    assert Told.from_json(orjson.loads(orjson.dumps(told.to_json()))) == told


# A simulated network: real files, real books, and messages that are late, lost or cut off with their machine.


class Machine:
    """An agent and its load, which always wants to send, with what is on the way to it and from it."""

    def __init__(self, number: int, plan: Plan, folder: Path, clock: list[int]) -> None:
        self.number, self.plan = number, plan
        self.budget = Budget(plan, [VLLM], folder / f"budget-{number}", leased=True)
        self.lease = Lease(folder / f"budget-{number}", now_ns=lambda: clock[0])
        self.inbox: deque[tuple[str, Any]] = deque()
        self.outbox: deque[tuple[str, Told]] = deque()
        self.flying: list[int] = []
        self.seq = self.waited = 0
        self.spent = ""

    def send(self, cap: int = 8) -> None:
        """One more request, if there is room."""
        said = self.budget.reserve("default", request(self.seq, cap), 30)
        if not said:
            self.flying.append(self.seq)
            self.seq += 1
        elif said == WAIT:
            self.waited += 1
        else:
            self.spent = said

    def answer(self, tokens: int) -> None:
        """The oldest request under way is over: it took so much input, and half of that again as output."""
        if self.flying:
            self.budget.settle("default", self.flying.pop(0), record((tokens, tokens // 2)))

    def tick(self) -> None:
        """The agent looks whether more is needed."""
        told = hunger(self.lease.counts(), self.plan)
        if told is not None:
            self.outbox.append(("ask", told))

    def hear(self) -> None:
        """One message of the master's arrives."""
        word, value = self.inbox.popleft()
        if word == "grant":
            self.lease.grant(value)
        elif word == "recall":
            self.outbox.append(("returned", self.lease.give_back()))
        else:
            self.lease.end()

    def close(self) -> Spend:
        """The end; what was taken."""
        settled = self.lease.counts().settled
        self.budget.close()
        self.lease.close()
        return settled


class Network:
    """The master and its machines."""

    def __init__(self, folder: Path, workers: int, **caps: Any) -> None:
        self.plan = Plan.single("m", mode="closed", concurrency=1, **caps)
        self.clock = [0]
        self.ledger = Ledger(Caps.of(self.plan), workers)
        self.machines = [Machine(n, self.plan, folder, self.clock) for n in range(workers)]

    def deliver(self, machine: Machine) -> None:
        """One message of this machine's reaches the master."""
        if not machine.outbox:
            return
        word, told = machine.outbox.popleft()
        if word == "returned":
            self.ledger.returned(machine.number, told)
            return
        answer = self.ledger.ask(machine.number, told)
        machine.inbox.append(("grant", answer.grant))
        for one in self.machines:
            if one.number in answer.recall:
                one.inbox.append(("recall", None))
        if answer.spent:
            machine.inbox.append(("end", None))

    def within(self) -> None:
        """What was taken and reserved, everywhere, is within the caps."""
        total = Spend()
        for machine in self.machines:
            counts = machine.lease.counts()
            total = total.plus(counts.settled).plus(counts.reserved)
        caps = Caps.of(self.plan)
        assert not caps.beyond(total, caps.all())

    def finish(self) -> None:
        """Everything is delivered and answered, and who wants to send does, until all have been told the end."""
        for _ in range(600):
            self.clock[0] += 50_000_000
            for machine in self.machines:
                machine.answer(2)
                machine.send()
                machine.tick()
                while machine.outbox:
                    self.deliver(machine)
                while machine.inbox:
                    machine.hear()
            self.within()
            if all(machine.spent for machine in self.machines):
                return
        pytest.fail("nobody said that the budget is spent")


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["send", "send", "send", "answer", "tick", "hear", "deliver", "drop", "deaf", "lost"]),
        st.integers(0, 4),
        st.integers(0, 8),
    ),
    max_size=150,
)
CAPS = st.sampled_from(
    [{"budget_requests": 1}, {"budget_requests": 37}, {"budget_tokens": 500}, {"budget_cost": 0.0021},
     {"budget_requests": 60, "budget_tokens": 900, "budget_cost": 0.004}]
)  # fmt: skip


def played(network: Network, events: list[tuple[str, int, int]], *, losses: bool) -> Iterator[Network]:
    """The state after each of these events."""
    gone: set[int] = set()
    for word, number, size in events:
        machine = network.machines[number % len(network.machines)]
        network.clock[0] += 50_000_000
        if word == "lost" and losses and machine.number not in gone:
            network.ledger.lost(machine.number)
            gone.add(machine.number)  # it does not know, and goes on for a while
        elif word == "drop" and machine.outbox:
            machine.outbox.popleft()
        elif word == "deaf" and machine.inbox:
            machine.inbox.popleft()
        elif word == "hear" and machine.inbox:
            machine.hear()
        elif word == "deliver":
            network.deliver(machine)
        elif word == "tick":
            machine.tick()
        elif word == "send":
            machine.send(size)
        elif word == "answer":
            machine.answer(size)
        yield network


@settings(max_examples=80)
@given(EVENTS, CAPS, st.integers(1, 5))
def test_no_cap_is_exceeded_whatever_is_late_or_lost(
    events: list[tuple[str, int, int]], caps: dict[str, Any], workers: int
) -> None:
    with TemporaryDirectory() as folder:
        network = Network(Path(folder), workers, **caps)
        for state in played(network, events, losses=True):
            state.within()
        for machine in network.machines:
            machine.close()


@settings(max_examples=25)
@given(EVENTS, st.integers(1, 60), st.integers(1, 5))
def test_without_lost_workers_all_requests_are_sent_and_not_one_more(
    events: list[tuple[str, int, int]], most: int, workers: int
) -> None:
    """Messages may be late and lost; the machines want more than there is, and each is told when all is spent."""
    with TemporaryDirectory() as folder:
        network = Network(Path(folder), workers, budget_requests=most)
        deque(played(network, events, losses=False), maxlen=0)
        network.finish()

        assert sum(machine.seq for machine in network.machines) == most
        assert all("--budget-requests" in machine.spent for machine in network.machines)
        for machine in network.machines:
            while machine.flying:
                machine.answer(1)
        assert sum(machine.close().requests for machine in network.machines) == most


@settings(max_examples=25)
@given(EVENTS, st.integers(18, 800), st.integers(1, 5))
def test_tokens_are_spent_until_no_request_fits_any_more(
    events: list[tuple[str, int, int]], most: int, workers: int
) -> None:
    """Requests of 18 in the worst case: when the first one is told the end, less than that is left of all."""
    with TemporaryDirectory() as folder:
        network = Network(Path(folder), workers, budget_tokens=most)
        deque(played(network, events, losses=False), maxlen=0)
        network.finish()
        for machine in network.machines:
            while machine.flying:
                machine.answer(8)
        settled = sum(machine.close().tokens for machine in network.machines)

        assert most - 18 < settled <= most


def test_in_steady_state_nobody_waits(tmp_path: Path) -> None:
    """
    Three machines at 100 requests/s each, messages 100 ms under way each way, the agents look every 100 ms.

    That is 300 ms from hunger to grant, 30 requests; room is kept for 200. Only who has no lease yet waits.
    """
    rng = random.Random(1)
    network = Network(tmp_path, 3, budget_tokens=300_000)
    late: deque[tuple[int, Machine]] = deque()
    for tick in range(1000):  # of 10 ms
        network.clock[0] = tick * 10_000_000
        for machine in network.machines:
            machine.send()
            if tick >= 20:
                machine.answer(rng.randrange(4, 9))
            if tick % 10 == machine.number:
                machine.tick()
                late.append((tick + 20, machine))
        while late and late[0][0] <= tick:
            _, machine = late.popleft()
            network.deliver(machine)
            while machine.inbox:
                machine.hear()
        if tick == 100:
            for machine in network.machines:
                machine.waited = 0

    assert [machine.waited for machine in network.machines] == [0, 0, 0]
    assert sum(machine.close().requests for machine in network.machines) > 2800
