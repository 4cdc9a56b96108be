"""Output whose reader leaves: what is printed is lost, what a verb says by its exit code is not."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import synthetic

from loadtests.cli.heard import Output

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_read_arrives_and_what_nobody_reads_is_dropped() -> None:
    reader, writer = os.pipe()
    raw = Output(writer, "w")
    text = io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", line_buffering=True)

    text.write("naïve\n")
    assert os.read(reader, 100) == "naïve\n".encode()
    assert not raw.is_unheard
    os.close(reader)
    text.write("more\n")
    assert raw.is_unheard
    text.write("and more\n" * 100_000)
    text.close()


def test_a_full_disk_is_told() -> None:
    with pytest.raises(OSError, match="No space left"), Output(os.open("/dev/full", os.O_WRONLY), "w") as full:
        full.write(b"x")


@pytest.mark.parametrize("pipe", ["2>&1 | true", "| head -1"])
def test_the_exit_code_is_the_verdict_whoever_listens(tmp_path: Path, pipe: str) -> None:
    """A missed objective is 1; bash's own word for the first command of the pipe is looked at."""
    run = synthetic.write(tmp_path / "r")
    verb = f"{sys.executable} -m loadtests.cli summary {run} --objective 'ttft_p50<1ms'"
    done = subprocess.run(
        ["bash", "-c", f"{verb} {pipe}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
