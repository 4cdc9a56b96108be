"""
The verdict as JUnit XML, which build servers show as tests: one testcase for each number, objective and check.

What decides fails or is skipped as the verdict says; what is exploratory never fails. Elements and attributes are those
that Jenkins' schema knows.

Source: jenkinsci/xunit-plugin, junit-10.xsd.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from analysis.gate import words
from analysis.gate.reasons import sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analysis.compare.comparison import Line
    from analysis.gate.attained import Attained
    from analysis.gate.verdict import Verdict

KINDS: Final = (
    dict.fromkeys(("regression", "missed", "inconclusive_fails"), "failure")
    | dict.fromkeys(("inconclusive", "undecided", "not_compared", "exploratory", "doubtful"), "skipped")
    | {"invalid": "error"}
)
"""By what a case is, the element that says so; one that passes has none."""


class Case(NamedTuple):
    """One testcase: where it belongs, what it is, the line and the text that tell about it."""

    suite: str
    name: str
    state: str
    message: str


def junit(verdict: Verdict) -> str:
    """The file's text."""
    cases = list(_cases(verdict))
    root = Element("testsuites", {"name": _clean(f"firsttoken gate {verdict.name}".rstrip()), **_counts(cases)})
    for suite in dict.fromkeys(case.suite for case in cases):
        _add(root, verdict, suite, [case for case in cases if case.suite == suite])
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _add(root: Element, verdict: Verdict, suite: str, cases: list[Case]) -> None:
    counts = _counts(cases) | {"skipped": str(_count(cases, "skipped")), "timestamp": _timestamp(verdict)}
    place = SubElement(root, "testsuite", {"name": suite, **counts})
    for case in cases:
        named = {"classname": _clean(f"firsttoken.{suite}"), "name": _clean(case.name), "time": "0"}
        one = SubElement(place, "testcase", named)
        if kind := KINDS.get(case.state):
            SubElement(one, kind, {"type": case.state, "message": _clean(case.message)})
        elif case.message:
            SubElement(one, "system-out").text = _clean(case.message)


def _counts(cases: list[Case]) -> dict[str, str]:
    failures, errors = _count(cases, "failure"), _count(cases, "error")
    return {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors), "time": "0"}


def _count(cases: list[Case], kind: str) -> int:
    return sum(KINDS.get(case.state) == kind for case in cases)


def _timestamp(verdict: Verdict) -> str:
    """When the candidate's newest run began, as ISO 8601 without a zone; not known is the beginning of time."""
    newest_ns = max(run.started_unix_ns for run in verdict.candidate)
    return datetime.fromtimestamp(newest_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")


# The cases.


def _cases(verdict: Verdict) -> Iterator[Case]:
    yield Case("gate", "verdict", _overall(verdict), "; ".join(verdict.reasons))
    for line in () if verdict.comparison is None else verdict.comparison.lines:
        yield _of_line(line, stamped=not verdict.counts(line.place.metric))
    for one in verdict.objectives:
        yield _of_objective(one, stamped=not verdict.counts(one.metric))
    yield from _of_validity(verdict)


def _overall(verdict: Verdict) -> str:
    """The verdict; one that is inconclusive is as the user chose that it be taken."""
    if verdict.taken_as is None:
        return verdict.verdict
    return "pass" if verdict.taken_as == "pass" else "inconclusive_fails"


def _of_line(line: Line, *, stamped: bool) -> Case:
    suite = "primary" if line.primary else f"exploratory.{line.place.by}" if line.place.by else "exploratory"
    state: str = line.verdict
    if not line.primary and state != "pass":
        state = "exploratory"
    elif stamped and line.primary:
        state = "invalid"
    return Case(suite, line.place.words, state, f"{line.verdict}: {words.sentence(line)}")


def _of_objective(one: Attained, *, stamped: bool) -> Case:
    return Case("objectives", one.text, "invalid" if stamped else one.verdict, words.promise(one))


def _of_validity(verdict: Verdict) -> Iterator[Case]:
    """Every run of either side, and every check of the sides against each other."""
    for side, runs in (("baseline", verdict.baseline), ("candidate", verdict.candidate)):
        for run in runs:
            yield Case("validity", f"{side} {run.name}", run.verdict, "; ".join(map(sentence, run.faults)))
    for check in () if verdict.comparison is None else verdict.comparison.checks:
        state = {"not_judged": "ok"}.get(check.status, check.status)
        yield Case("validity", check.name, state, sentence(check))


def _clean(text: str) -> str:
    """Without what XML 1.0 has no way to write."""
    return "".join(c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "?"
                   for c in text)  # fmt: skip
