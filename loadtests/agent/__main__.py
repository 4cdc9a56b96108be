"""
The agent of a Locust worker, which starts it: `python -m loadtests.agent HOST PORT OUT ORDER`.

It serves one test after another, until Locust ends and what it recorded is delivered.
"""

from __future__ import annotations

import select
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Final

from loadtests.agent import Agent, Parent
from loadtests.link.lines import Lines

FOREVER_S: Final = 1e9


def main() -> int:
    """Entry of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is Locust's
    host, port, out, order = sys.argv[1:]
    lines = Lines(sys.stdin.buffer, sys.stdout.buffer)
    poll = select.poll()
    poll.register(lines.fd, select.POLLHUP)
    gone = partial(_is_gone, poll)
    while True:
        end = Agent((host, int(port)), Path(out), partial(Parent, lines=lines), gone, _say, order=order).run(FOREVER_S)
        if end.text and not gone():
            _say(end.text)
        if gone() or not end.again_s:
            return end.code


def _is_gone(poll: select.poll) -> int:
    """1 once Locust has ended."""
    return int(any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0)))


def _say(text: str) -> None:
    sys.stderr.write(f"firsttoken: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
