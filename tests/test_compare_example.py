"""The README's comparison of two providers, run as a reader would paste it, only shorter."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parent.parent / "README.md").read_text()


def block() -> str:
    """The shell block under the heading."""
    section = TEXT[TEXT.index("## Compare two providers") :]
    found = re.search(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert found is not None
    return str(found[1])


@pytest.mark.slow
def test_the_example_of_the_readme_compares_two_providers(tmp_path: Path) -> None:
    """Four seconds a side in place of forty; a run that this busy machine makes invalid does not end the script."""
    script = block()
    assert script.count("--duration 40s") == 1
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", "-c", script.replace("--duration 40s", "--duration 4s")], cwd=tmp_path,
        env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip

    assert done.returncode in {0, 3}, done.stderr
    results = tmp_path / "results"
    assert len(list(results.glob("*-meingpt-vs-morpheus"))) == 1
    compared = done.stdout[done.stdout.rindex("report: ") :]
    assert "TTFT" in compared
    assert "meingpt" in compared
    assert "morpheus" in compared
    assert "Traceback" not in done.stderr
