"""The gate's files: JSON by its schema, JUnit by Jenkins', a comment that GitHub takes, annotations it can read."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from gating import FAULT, NEW, OLD, comparison, digest, evidence, gate, line, outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.compare.comparison import Difference
from analysis.gate import files
from analysis.gate.annotations import commands
from analysis.gate.junit import junit
from analysis.gate.markdown import escape, markdown, marker
from analysis.gate.verdict import Evidence, decide

if TYPE_CHECKING:
    from pathlib import Path

    from analysis.gate.verdict import Verdict

KINDS = ["pass", "regression", "invalid", "inconclusive"]
GITHUB_MOST = 65_536


def all_of_it(kind: str) -> Verdict:
    """A verdict with lines, objectives, doubts and a name."""
    seen = replace(evidence(kind), outcomes=[[outcome("met"), outcome("undecided", "tpot_p95<50ms")]] * 5)
    return decide(replace(seen, candidate=[*NEW[1:], digest("new/1", 11, "doubtful")]), name="nightly")


# verdict.json


def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(files.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("kind", KINDS)
def test_the_json_is_what_its_schema_says(kind: str) -> None:
    validator().validate(json.loads(files.text_of(all_of_it(kind))))
    validator().validate(json.loads(files.text_of(gate(kind, on_inconclusive="fail"))))


def test_objectives_alone_keep_to_the_schema_too() -> None:
    told = json.loads(files.text_of(decide(Evidence((), NEW, None, [[outcome("missed")]] * 5))))

    validator().validate(told)
    assert (told["comparison"], told["exit_code"]) == (None, 1)


def test_the_schema_is_closed_and_knows_every_key() -> None:
    told = json.loads(files.text_of(all_of_it("regression")))

    assert not validator().is_valid(told | {"more": 1})
    for place in (told["comparison"], told["comparison"]["lines"][0], told["candidate"][0], told["objectives"][0]):
        place["more"] = 1
        assert not validator().is_valid(told)
        del place["more"]
    assert validator().is_valid(told)


def test_what_is_not_finite_is_null() -> None:
    seen = replace(
        evidence("inconclusive"), comparison=comparison("inconclusive", [line("inconclusive", hi=float("inf"))])
    )

    told = json.loads(files.text_of(decide(seen)), parse_constant=pytest.fail)

    assert told["comparison"]["lines"][0]["hi"] is None


# junit.xml: the elements and attributes of jenkinsci/xunit-plugin's junit-10.xsd.

ATTRIBUTES = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set()),
    "testsuite": (
        {"name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package"},
        {"name", "tests", "failures", "errors"},
    ),
    "testcase": ({"name", "time", "classname", "group"}, {"name"}),
    "failure": ({"type", "message"}, set()), "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()), "system-out": (set(), set()),
}  # fmt: skip
INSIDE = {
    "testsuites": {"testsuite"}, "testsuite": {"testcase"},
    "testcase": {"failure", "error", "skipped", "system-out"},
}  # fmt: skip
ENDS = {"pass": "", "regression": "failure", "invalid": "error", "inconclusive": "skipped"}


def read(text: str) -> ET.Element:
    """The XML, held against the structure."""
    root = ET.fromstring(text)
    for element in root.iter():
        allowed, required = ATTRIBUTES[element.tag]
        assert required <= set(element.attrib) <= allowed
        assert {child.tag for child in element} <= INSIDE.get(element.tag, set())
    for place in (root, *root.iter("testsuite")):
        assert place.get("tests") == str(len(list(place.iter("testcase"))))
        assert place.get("failures") == str(len(list(place.iter("failure"))))
        assert place.get("errors") == str(len(list(place.iter("error"))))
    for suite in root.iter("testsuite"):
        assert suite.get("skipped") == str(len(list(suite.iter("skipped"))))
    return root


def states(root: ET.Element, suite: str) -> list[str]:
    """What became of each case of a suite; empty: it passed."""
    cases = root.findall(f"testsuite[@name='{suite}']/testcase")
    return [next((child.tag for child in case if child.tag != "system-out"), "") for case in cases]


@pytest.mark.parametrize("kind", KINDS)
def test_junit_says_what_the_gate_says(kind: str) -> None:
    root = read(junit(gate(kind)))

    assert states(root, "gate") == [ENDS[kind]]
    assert states(root, "primary")[0] == ENDS[kind]
    assert states(root, "exploratory.workload") == ["skipped"]
    assert (root.get("failures") != "0") == (kind == "regression")
    assert (root.get("errors") != "0") == (kind == "invalid")


def test_the_suites_carry_the_time_of_the_candidate() -> None:
    """The newest run of the candidate began 15 minutes after 13:47."""
    assert read(junit(gate("pass"))).findall("testsuite")[0].get("timestamp") == "2026-11-22T14:02:00"


def test_junit_fails_where_inconclusive_is_to_fail() -> None:
    assert states(read(junit(gate("inconclusive", on_inconclusive="fail"))), "gate") == ["failure"]
    assert states(read(junit(gate("inconclusive", on_inconclusive="pass"))), "gate") == [""]


def test_objectives_and_validity_are_cases_too() -> None:
    root = read(junit(all_of_it("pass")))

    assert states(root, "objectives") == ["", "skipped"]
    assert states(root, "validity") == [*[""] * 9, "skipped", ""]


@given(st.text(), st.text())
def test_any_name_makes_well_formed_xml(name: str, reason: str) -> None:
    seen = evidence("regression")
    worst = line("regression", label=name, reason=reason, group=name, by="workload")
    read(junit(decide(replace(seen, comparison=comparison("regression", [worst], notes=(reason,))), name=name)))


# comment.md


@pytest.mark.parametrize("kind", KINDS)
def test_the_comment_begins_with_its_marker_and_the_verdict(kind: str) -> None:
    lines = markdown(gate(kind, name="nightly")).splitlines()

    assert lines[0] == "<!-- firsttoken gate: nightly -->"
    assert kind.upper() in lines[1]
    assert markdown(gate(kind)).startswith("<!-- firsttoken gate -->\n")


def test_the_comment_has_numbers_doubts_and_what_to_do() -> None:
    text = markdown(all_of_it("inconclusive"))

    assert "| TTFT p95 | 200 ms | 225 ms | +12.5 % | \\[-2.00, +20.0\\] | 0.002 | ❔ inconclusive |" in text
    assert "**Next:** make 12 runs a side" in text
    assert "candidate new/1: Little's law" in text
    assert "1 exploratory numbers" in text
    assert "tpot\\_p95&lt;50ms" in text


def test_what_runs_attained_is_said_once() -> None:
    def comment(shares: list[float]) -> str:
        return markdown(decide(Evidence((), NEW, None, [[outcome("met", share=share)] for share in shares])))

    assert "| ✅ met | 100 % of 95.0 % |" in comment([1.0] * 5)
    assert "| ✅ met | 97.1 to 100 % of 95.0 % |" in comment([0.99, 1.0, 0.971, 1.0, 1.0])


@settings(deadline=None, max_examples=25)
@given(
    st.text(st.characters(codec="utf-8"), max_size=400), st.integers(0, 500), st.integers(0, 500), st.integers(0, 60)
)
def test_a_comment_is_never_too_long(name: str, primary: int, others: int, many: int) -> None:
    """By characters and, which is more, by bytes; and what is cut says so."""
    lines = [line("regression", label=name)] * primary + [line(label=name * 9, primary=False)] * others
    settings_ = (Difference(name, name * 50, None),) * many
    seen = comparison("regression", lines, notes=(name * 20,) * many, settings=settings_, checks=(FAULT,) * many)
    runs = [digest(f"{name}{n}", verdict="doubtful", labels={name: name}) for n in range(many + 1)]
    outcomes = [[outcome("missed", name * 3, name * 40)] * many for _ in runs]

    text = markdown(decide(Evidence(runs, runs, seen, outcomes), name=name))

    assert len(text.encode()) < GITHUB_MOST
    assert text.startswith("<!-- firsttoken gate")
    assert "\n" not in marker(name)
    assert marker(name).count("--") == 2
    if primary + others == 1000:
        assert "more: verdict.json has all" in text


def test_500_numbers_fit_and_most_of_them_are_there() -> None:
    lines = [line(), *[line("regression", what=f"p{n}", primary=False) for n in range(500)]]

    text = markdown(decide(Evidence(OLD, NEW, comparison("pass", lines))))

    shown = len(re.findall(r"^\| TTFT p\d", text, re.MULTILINE))
    assert 400 < shown <= 501
    assert len(text) < GITHUB_MOST


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"), ("ttft_p95", r"ttft\_p95"), ("<script>", "&lt;script&gt;"), ("a\nline", "a line"),
        ("@all #12", "@\u200ball #\u200b12"), ("[x](y)`", r"\[x\](y)\`"), ("a & b", "a &amp; b"), ("x" * 9, "xxxxxxx…"),
    ],
)  # fmt: skip
def test_names_are_shown_and_do_nothing(text: str, shown: str) -> None:
    assert escape(text, 8) == shown


# Annotations and the step's summary.


@pytest.mark.parametrize(
    ("kind", "command"),
    [("pass", "notice"), ("regression", "error"), ("invalid", "error"), ("inconclusive", "warning")],
)
def test_an_annotation_for_each_reason(kind: str, command: str) -> None:
    found = commands(gate(kind, name="a,b"))

    assert len(found) == 1
    assert found[0].startswith(f"::{command} title=firsttoken gate a%2Cb%3A {kind}::")


def test_annotations_are_escaped_and_few() -> None:
    worst = [line("regression", label="50 %\r\n::error::x")] * 30
    found = commands(decide(Evidence(OLD, NEW, comparison("regression", worst))))

    assert len(found) == 10
    assert "::50 %25%0D%0A::error::x p95 +12.5 %25" in found[0]
    assert found[-1].endswith("::and 21 more: verdict.json has all")
    assert not any("\n" in one or "\r" in one for one in found)


def test_doubts_warn_beside_the_verdict() -> None:
    found = commands(all_of_it("regression"))

    assert [one.split()[0] for one in found] == ["::error", "::warning"]


def test_the_summary_is_added_to_as_far_as_github_takes_it(tmp_path: Path) -> None:
    place, verdict = tmp_path / "summary.md", gate("pass")

    assert files.append_summary(verdict, place)
    assert files.append_summary(verdict, place)
    assert place.read_text() == markdown(verdict) * 2

    place.write_bytes(b"x" * (files.SUMMARY_MOST - 10))
    assert not files.append_summary(verdict, place)
    assert place.stat().st_size == files.SUMMARY_MOST - 10


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_verdict_gives_the_same_bytes(kind: str, tmp_path: Path) -> None:
    def bytes_of(folder: Path) -> dict[str, Any]:
        files.write(all_of_it(kind), folder)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    assert set(bytes_of(tmp_path / "a")) == {"verdict.json", "junit.xml", "comment.md"}
