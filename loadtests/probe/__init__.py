"""
One checked request of each kind against a provider: what its profile claims, held against what came back.

    ask, wrong       what is sent
    talk             sends it (the only module here that opens a connection)
    seen             what came back, read by the same code as a run's answers
    finding          a claim, what was seen of it, and what to change in the profile
    reach, streaming, counting, headers, refusals, tooling     the claims, small functions each
    claims           all of them, in order
    diff             the profile's lines to change
    transcript       what was sent and what came, as a file without secrets
"""

from loadtests.probe.ask import Ask, asks, plan_lines
from loadtests.probe.claims import judge
from loadtests.probe.diff import diff_lines, line
from loadtests.probe.finding import Change, Evidence, Finding
from loadtests.probe.seen import Hearing, Seen
from loadtests.probe.talk import Talk
from loadtests.probe.transcript import cleaned, transcript, write

__all__ = [
    "Ask",
    "Change",
    "Evidence",
    "Finding",
    "Hearing",
    "Seen",
    "Talk",
    "asks",
    "cleaned",
    "diff_lines",
    "judge",
    "line",
    "plan_lines",
    "transcript",
    "write",
]
