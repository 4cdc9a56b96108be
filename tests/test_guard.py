"""A crash is shown and its secrets are not: excepthook, threads, greenlets, log lines; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

KEY = "q7Zx2LmN9vRt4KpW8sYd1FhJ6cBg3TnE"
ARM = f"from loadtests.guard import guard, masking\nguard(['{KEY}', None, ''])\n"
CRASH = f"raise RuntimeError('sent {KEY} and sk-abcdefgh12345678')"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "code",
    [
        ARM + CRASH,
        ARM + f"import threading\ndef f():\n    {CRASH}\nt = threading.Thread(target=f); t.start(); t.join()",
        "import gevent\n" + ARM + f"def f():\n    {CRASH}\ngevent.spawn(f).join()",
        ARM + f"import logging\nlogging.basicConfig()\nlogging.error('saw %s and %s', '{KEY}', 'sk-abcdefgh12345678')",
        ARM + f"import logging\nlogging.basicConfig()\ntry:\n    {CRASH}\nexcept RuntimeError:\n"
        "    logging.exception('it failed')",
        ARM + f"import sys\nmasking(sys.stderr.write)('{KEY} sk-abcdefgh12345678')",
    ],
    ids=["excepthook", "thread", "greenlet", "log", "logged traceback", "masking"],
)
def test_what_is_printed_holds_no_secret(code: str) -> None:
    said = run(code)

    assert "█" in said
    assert not any(KEY[i : i + 8] in said for i in range(len(KEY) - 7))
    assert "sk-abcdefgh" not in said


def test_the_traceback_still_says_where() -> None:
    said = run(ARM + "def somewhere():\n    return {}['absent']\nsomewhere()")

    assert "in somewhere" in said
    assert "KeyError: 'absent'" in said
