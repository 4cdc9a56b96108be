"""What the tab shows: how the test at hand goes, and the reports of the tests before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadtests.locust_tab.answers import COLUMNS, Answers
from loadtests.locust_tab.seconds import WINDOW_S, Seconds
from loadtests.record import REPORT

if TYPE_CHECKING:
    from pathlib import Path


class Tab:
    """
    The tests of one Locust process, of which one is on at a time.

    Attributes:
        answers, seconds: Of the test at hand, or the last one.
        reports: Run directories with a report, by their names, the oldest first.
    """

    def __init__(self) -> None:
        self.answers, self.seconds = Answers(), Seconds()
        self.reports: dict[str, Path] = {}
        self._run, self._state, self._why = "", "waiting", ""

    def begin(self, path: Path) -> None:
        """A test starts."""
        self.answers, self.seconds = Answers(), Seconds()
        self._run, self._state = path.name, "running"

    def refuse(self, why: str) -> None:
        """One could not start; what is shown of the last one stays."""
        self._state, self._why = "refused", why

    def finishing(self) -> None:
        """It has stopped; its files are being made."""
        self._state = "finishing"

    def end(self, path: Path) -> None:
        """They are made."""
        self._state = "finished"
        if (path / REPORT).is_file():
            self.reports[path.name] = path.absolute()

    def to_json(self) -> dict[str, Any]:
        """All of it, for the page."""
        return {
            "run": self._run,
            "state": self._state,
            "why": self._why,
            "reports": [*reversed(self.reports)],
            "window_s": WINDOW_S,
            "seconds": self.seconds.columns(),
            "columns": COLUMNS,
            "rows": self.answers.rows(),
        }
