"""
What providers do on the wire, each by name and with its truth: what a client that reads well says of it.

Scenes in, Scores out; no sockets. `SCENARIOS[name].play(scene())` is all that it takes to play one by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtests.mock.scenarios.calls import CALLS
from loadtests.mock.scenarios.chunks import CHUNKS
from loadtests.mock.scenarios.closing import CLOSING
from loadtests.mock.scenarios.documented import SEEDS
from loadtests.mock.scenarios.ends import ENDS
from loadtests.mock.scenarios.errors import ERRORS
from loadtests.mock.scenarios.framing import FRAMING
from loadtests.mock.scenarios.limits import LIMITS
from loadtests.mock.scenarios.scenario import Scenario, scene
from loadtests.mock.scenarios.statuses import STATUSES
from loadtests.mock.scenarios.transfer import TRANSFER

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SCENARIOS", "TOPICS", "Scenario", "scene"]

TOPICS: Final[Mapping[str, tuple[Scenario, ...]]] = {
    "framing: the usual chunks in unusual bytes": FRAMING,
    "chunks: what they carry and where": CHUNKS,
    "tool calls": CALLS,
    "usage and finish reasons": CLOSING,
    "transfer: HTTP around them": TRANSFER,
    "ends": ENDS,
    "errors inside a 200": ERRORS,
    "error statuses": STATUSES,
    "429 and how long to wait": LIMITS,
    "what the four seeds tell of": SEEDS,
}
"""By topic, in the order of the list."""

SCENARIOS: Final[Mapping[str, Scenario]] = {one.name: one for rows in TOPICS.values() for one in rows}
"""By name."""
