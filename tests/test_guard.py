"""A crash is shown and its secrets are not: excepthook, threads, greenlets, log lines; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from loadtests.guard import know, leaks

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


@pytest.mark.parametrize(
    "call",
    [
        f"logging.error('saw %s', '{KEY}', 1)",
        f"logging.error('saw %d', '{KEY}')",
        f"logging.error('saw {KEY} %(name)s', {{'other': '{KEY}'}})",
        f"logging.error('saw %s and %s', Odd(), '{KEY}')",
    ],
    ids=["too many", "no number", "no such name", "cannot be shown"],
)
def test_a_wrong_log_call_is_complained_of_and_its_caller_goes_on(call: str) -> None:
    odd = "class Odd:\n    def __repr__(self): raise ValueError('odd')\n"
    said = run(f"{ARM}import logging\n{odd}{call}\nprint('it goes on')")

    assert "it goes on" in said
    assert "--- Logging error ---" in said
    assert not any(KEY[i : i + 8] in said.replace(call, "") for i in range(len(KEY) - 7))


def test_a_piece_of_a_secret_is_found_from_eight_characters_on() -> None:
    know([KEY, "short"])

    assert leaks(f"build-{KEY[3:11]}")
    assert not leaks(f"build-{KEY[3:10]}")
    assert not leaks("a short build")


def test_the_traceback_still_says_where() -> None:
    said = run(ARM + "def somewhere():\n    return {}['absent']\nsomewhere()")

    assert "in somewhere" in said
    assert "KeyError: 'absent'" in said
