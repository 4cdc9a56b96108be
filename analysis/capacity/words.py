"""
What an answer means, in sentences for a person who pays for machines.

Whatever is no everyday word is explained where it first stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from analysis.capacity.bills import by_tokens, machines, rented
from analysis.capacity.figures import percent, plain, rounded, told
from analysis.capacity.promise import in_words
from analysis.units import span

if TYPE_CHECKING:
    from analysis.capacity.answer import Answer
    from analysis.capacity.carried import Carried
    from analysis.capacity.meaning import Meaning

SURE: Final = "; the range in brackets is right in 19 of 20 such tests"
BETWEEN: Final = "; in brackets the highest load that held and the lowest that did not"
BEYOND: Final = {
    "client": "Beyond it the machine that made the load was at its limit, not the server",
    "most": "The limit was not reached",
    "quota": "Beyond it your quota with the provider is the limit, not the model",
    "stability": "Beyond it requests come faster than they are answered and pile up",
    "failures": "Beyond it requests fail",
}
"""What ends first, where it is no promise."""


class Paragraph(NamedTuple):
    """A heading of a word or two, and its sentences."""

    about: str
    sentences: tuple[str, ...]


def paragraphs(meaning: Meaning) -> tuple[Paragraph, ...]:
    """All that there is to say; what was not asked has no paragraph."""
    parts = [
        ("Capacity", _capacity(meaning)),
        ("Work", _work(meaning)),
        ("Machines", _machines(meaning)),
        ("Room", _room(meaning)),
        ("Users", _users(meaning)),
        ("Cost", rented(meaning)),
        ("Token prices", by_tokens(meaning)),
    ]
    return tuple(Paragraph(about, tuple(said)) for about, said in parts if said)


def sentences(meaning: Meaning) -> tuple[str, ...]:
    """The same without headings."""
    return tuple(sentence for paragraph in paragraphs(meaning) for sentence in paragraph.sentences)


def headline(meaning: Meaning) -> str:
    """The answer in one line."""
    carried, sizing = meaning.carried, meaning.sizing
    if carried is None:
        return _none(meaning)
    needed = "" if sizing is None else f"; the peak takes {machines(sizing.shown)}"
    return f"{_carries(meaning, carried)}{needed}."


# What it carries.


def _capacity(meaning: Meaning) -> list[str]:
    carried, answer = meaning.carried, meaning.answer
    if carried is None:
        return [_none(meaning)]
    said = [f"{_carries(meaning, carried)}{_brackets(answer, carried)}."]
    if carried.turns > 1:
        each = f"Each conversation brings {plain(carried.turns)} requests"
        said.append(f"{each}: {carried.shown(carried.per_s)} requests a second.")
    sure = answer.is_confirmed or carried.bound
    if promised := [in_words(text) for text in answer.objectives]:
        what, are, seem = ("objective", "is", "seems") if len(promised) == 1 else ("objectives", "are", "seem")
        met = f"{are} met" if sure else f"{seem} to be met"
        said.append(f"Up to there the {what} {met}: {' and '.join(promised)}.")
    said.append(f"{_beyond(answer)}.")
    if meaning.knee_per_s is not None:
        said.append(f"From {plain(meaning.knee_per_s)}/s on waiting grows out of proportion (the knee).")
    if not sure:
        said.insert(1, "Rough: not confirmed by fresh runs on both sides; more --probes would do that.")
    return said


def _brackets(answer: Answer, carried: Carried) -> str:
    """What the range says: an interval where it comes of a fit, else the loads that were tried next to it."""
    if carried.bound or None in {carried.load.lo, carried.load.hi}:
        return ""
    return BETWEEN if answer.crossing is None else SURE


def _beyond(answer: Answer) -> str:
    """What ends first."""
    word = answer.limited_by
    if word in BEYOND:
        return f"{BEYOND[word]}: {answer.reason}"
    if answer.objectives == (word,):
        return "Beyond it that no longer holds"
    return f"Beyond it this gives way first: {in_words(word)}"


def _carries(meaning: Meaning, carried: Carried) -> str:
    """The capacity in the unit that it was searched in."""
    load = carried.shown(carried.load, whole=carried.mode == "concurrency")
    first, many = f"{_name(meaning)} carries {load}", "" if carried.load.value == 1 else "s"
    if carried.mode == "concurrency":
        return f"{first} user{many} at once, {rounded(carried.per_s)[0]} requests a second in all"
    return f"{first} {'conversation' if carried.turns > 1 else 'request'}{many} a second"


def _none(meaning: Meaning) -> str:
    answer, name = meaning.answer, _name(meaning)
    if answer.value == 0:
        what = "the objective" if len(answer.objectives) == 1 else "the objectives"
        return f"{name} meets {what} at no load: {answer.reason}."
    upto = "" if answer.hi is None else f"; it is below {plain(answer.hi)}"
    return f"What {name[0].lower() + name[1:]} carries could not be determined: {answer.reason}{upto}."


def _name(meaning: Meaning) -> str:
    return meaning.arm or "The server"


def _work(meaning: Meaning) -> list[str]:
    mix, carried = meaning.mix, meaning.carried
    if mix is None or carried is None:
        return []
    sizes = [f"{plain(n)} tokens {way}" for n, way in ((mix.input_tokens, "in"), (mix.output_tokens, "out")) if n]
    rates = ((mix.input_tokens_per_s, "in"), (mix.output_tokens_per_s, "out"))
    per_request = [(flow / mix.requests_per_s, way) for flow, way in rates if flow]
    flows = [f"{carried.shown(carried.per_s.times(tokens))} {way}" for tokens, way in per_request]
    said = []
    if sizes:
        each = f"{' and '.join(sizes)} for each request (a token is a piece of a word)"
        said.append(f"That holds for this mix of work only: {each}; with longer texts it carries fewer.")
    if flows:
        said.append(f"At the capacity that is {' and '.join(flows)}, tokens a second.")
    if mix.cached_share:
        said.append(f"{percent(mix.cached_share)} of what went in was known to the server from earlier requests.")
    if mix.in_flight is not None and mix.response_s is not None:
        unit = "/s" if meaning.answer.mode == "rate" else " users"
        there = f"{plain(mix.in_flight)} requests were being answered at any moment"
        took = span(float(f"{mix.response_s:.3g}"))
        said.append(f"At {mix.load:.4g}{unit}, the nearest load held steady, {there} and each took {took} on average.")
    return said


# What a load takes.


def _machines(meaning: Meaning) -> list[str]:
    sizing, peak, growth = meaning.sizing, meaning.peak_per_s, meaning.asked.growth
    if peak is None:
        return [f"Machines cannot be counted: {meaning.not_sized}."] if meaning.not_sized else []
    grown = f"; with {percent(growth)} growth {plain(peak * (1 + growth))}" if growth else ""
    said = [f"The peak is {plain(peak)} requests a second, {meaning.peak_of}{grown}."]
    if sizing is None:
        return [*said, f"Machines for it are not counted: {meaning.not_sized}."]
    free, spare = percent(sizing.demand.headroom), _spare(sizing.needed, sizing.failures)
    takes = f"It takes {machines(sizing.shown)} such as the tested one"
    said.append(f"{takes}: {sizing.needed} to carry it with {free} of each kept free{spare}.")
    busy = f"All of them together then do {percent(sizing.busy)} of what they carry"
    gone = "one" if sizing.failures == 1 else f"{sizing.failures}"
    said.append(busy + (f", and {percent(sizing.busy_after)} with {gone} gone." if sizing.failures else "."))
    return said + _bunched(meaning)


def _spare(needed: int, failures: int) -> str:
    if failures:
        return f", and {failures} more so that {'one' if failures == 1 else failures} may fail"
    return ", and none to spare: should it fail, nothing is left" if needed == 1 else ", and none to spare"


def _bunched(meaning: Meaning) -> list[str]:
    """What a trace says of its arrivals, and the test that would match them."""
    trace = meaning.asked.trace
    if trace is None or not trace.advice:
        return []
    found = trace.bunching if trace.bunching is not None else trace.cv
    assert found is not None
    vary = f"the gaps between them vary {plain(found)} times as much as by pure chance"
    bunched = f"The requests of the trace come in bunches: {vary}, and a server carries fewer of those"
    return [f"{bunched}. Search again with {trace.advice}."]


def _room(meaning: Meaning) -> list[str]:
    room = meaning.room
    if room is None:
        return []
    free = room.free
    side = "below" if free.value >= 0 else "beyond"
    between = ""
    if free.lo is not None and free.hi is not None and free.lo * free.hi > 0:
        ends = sorted((abs(free.lo), abs(free.hi)))
        between = f" ({percent(ends[0])} to {percent(ends[1])})"
    load, of = (
        f"{plain(room.load_per_s)} requests a second",
        "" if room.replicas == 1 else f" of {room.replicas} machines",
    )
    said = [f"{load} are {percent(abs(free.value))}{between} {side} the capacity{of}."]
    if room.knee_per_s is not None:
        where = "past the knee already" if room.past_knee else "still below the knee"
        said.append(f"That is {where}: {plain(room.knee_per_s)}/s{of}.")
    return said


def _users(meaning: Meaning) -> list[str]:
    users = meaning.users
    if users is None:
        return []
    thinks = f"then thinks for {plain(users.think_s)} s" if users.think_s else "asks again at once"
    each = f"each of whom waits {plain(users.response_s)} s for an answer and {thinks}"
    law = "Little's law: how many are there = how many come a second x how long one stays"
    said = [f"That is as much as {told(users.users, whole=True)} users ask for, {each} ({law})."]
    said.append(f"{plain(users.waiting, whole=True)} of them are waiting for an answer at any moment.")
    if users.turns is not None and users.sessions is not None and users.sessions_per_s is not None:
        begun, there = told(users.sessions_per_s), told(users.sessions, whole=True)
        each = f"With {plain(users.turns)} requests in a session"
        said.append(f"{each}, {begun} sessions may begin a second; {there} are then under way at once.")
    return said
