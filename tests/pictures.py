"""
The pictures of README and docs, made by the tool itself from mock servers on this machine: `python tests/pictures.py`.

Each picture is a chart that a command wrote. `python tests/pictures.py FOLDER` keeps the runs there,
and called again it draws them anew without playing them again. Playing takes about a quarter of an hour, on a machine
that does nothing else.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from loadtests.mock import process

HOME: Final = Path(__file__).resolve().parent.parent
PICTURES: Final = HOME / "docs" / "pictures"
MOST_BYTES: Final = 100_000

SERVERS: Final = {
    8901: "--slots 5 --ttft 0.12 --output-tokens 32 --seed 1",
    8902: "--slots 12 --ttft 0.2 --output-tokens 32 --seed 2",
}
"""Two servers to be told apart: one is quicker to the first token, the other serves more at a time."""

ARMS: Final = (
    "--profile vllm --model mock"
    " --arm name=small,base_url=http://127.0.0.1:8901/v1 --arm name=large,base_url=http://127.0.0.1:8902/v1"
)


class Picture(NamedTuple):
    """A chart, the command whose report holds it, and its name there."""

    name: str
    command: str
    chart: str


ALL: Final = (
    Picture("load", f"firsttoken sweep {ARMS} --rates 2,4,6,8,10 --duration 15s", "arms"),
    Picture("ttft", f"firsttoken run {ARMS} --rate 6 --duration 20s --repeats 5", "ttft"),
    Picture(
        "capacity",
        "firsttoken capacity --profile vllm --model mock --base-url http://127.0.0.1:8901/v1"
        " --objective 'ttft_p95<500ms' --duration 15s",
        "search",
    ),
)


def firsttoken(words: list[str], folder: Path) -> None:
    """
    Run the command there.

    Raises:
        subprocess.CalledProcessError: It ended with anything but 0, or with 3: a run was not valid.
    """
    env = os.environ | {"PYTHONPATH": str(HOME)}
    subprocess.run([sys.executable, "-m", "loadtests.cli", *words], cwd=folder, env=env, check=True)


def make(picture: Picture, folder: Path) -> None:
    """Play its command where that was not done yet, draw the report, and take the chart over."""
    made = folder / picture.name
    if not made.exists():
        firsttoken([*shlex.split(picture.command)[1:], "--no-report", "--out", str(made)], folder)
    firsttoken(["report", str(made / "latest")], folder)
    svg = slim((made / "latest" / "charts" / f"{picture.chart}.svg").read_text(encoding="utf-8"))
    assert len(svg.encode()) < MOST_BYTES, (picture.name, len(svg))
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / f"{picture.name}.svg").write_text(svg, encoding="utf-8")


def slim(svg: str) -> str:
    """The same picture with its coordinates to a hundredth of a point."""
    return re.sub(r"(\d\.\d\d)\d+", r"\1", svg)


def main(folder: Path) -> None:
    """All of them, with both servers up."""
    with ExitStack() as stack:
        for port, script in SERVERS.items():
            stack.enter_context(process.start(("--port", str(port), *script.split())))
        for picture in ALL:
            make(picture, folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        kept = Path(sys.argv[1])
        kept.mkdir(parents=True, exist_ok=True)
        main(kept.resolve())
    else:
        temporary = Path(tempfile.mkdtemp(prefix="firsttoken-pictures-"))
        try:
            main(temporary)
        finally:
            shutil.rmtree(temporary)
