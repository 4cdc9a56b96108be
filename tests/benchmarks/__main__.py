"""`python tests/benchmarks`: the cases that are asked for, one after the other, and the table."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

HOME: Final = Path(__file__).resolve().parent.parent
sys.path[:1] = [str(HOME), str(HOME.parent)]  # this folder would make top-level modules of its files

from benchmarks import cases, table  # noqa: E402
from benchmarks.processes import BenchmarkError, raise_descriptors  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.figures import Figure

EXAMPLES: Final = """\
examples:
  python tests/benchmarks                                  all but memory, long and scale, each three times
  python tests/benchmarks accuracy punctual                these two, each five times
  python tests/benchmarks accuracy --truth-server ./truthserver --limit-client ./limitclient
                                                           against a compiled server, with the cost of a C client
  python tests/benchmarks long --chunks 10M --repeats 1    memory over ten million chunks
  python tests/benchmarks scale --requests 10M --repeats 1 summary, compare and report of large runs

Server on the first core, client on the last. Measure while nothing else runs: figures of a busy machine are its own.
"""


def main() -> int:
    """Measure, print, and say by the exit code how it ended: 0 measured, 1 a case failed, 130 stopped."""
    asked = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    raise_descriptors()
    done: list[Figure] = []
    try:
        done.extend(_measured(asked))
    except KeyboardInterrupt:
        print("stopped; what was measured:", file=sys.stderr)
        return 130
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        print(table.text(done))
        if asked.json is not None:
            table.write_json(asked.json, done, vars(asked))
    return 0


def _measured(asked: argparse.Namespace) -> Iterator[Figure]:
    """All figures, each as soon as its load has been repeated often enough."""
    names = asked.case or cases.USUAL
    repeats = asked.repeats or (5 if asked.case else 3)
    options = cases.Options(asked.truth_server, asked.limit_client, asked.seconds, asked.chunks, asked.requests)
    for case in cases.select(names, options):
        seen = []
        for turn in range(1, repeats + 1):
            print(f"{case.name} · {case.load} · {turn} of {repeats}", file=sys.stderr, flush=True)
            seen.append(case.measure())
        yield from table.figures(case, seen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python tests/benchmarks", description="How true and how fast firsttoken is on this machine.", epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("case", nargs="*", metavar="CASE", type=_case, help=f"of {', '.join(cases.CASES)}")
    add(
        "--truth-server",
        metavar="CMD",
        type=shlex.split,
        help="instead of the embedded provider: a compiled one, started as CMD PORT TTFT_US ITL_US TOKENS LOG",
    )
    add(
        "--limit-client",
        metavar="CMD",
        type=shlex.split,
        help="a compiled client to be held against: CMD PORT STREAMS SECONDS, prints cpu/event=X us",
    )
    add("--repeats", metavar="N", type=_at_least(1), help="of each load (5; all cases: 3)")
    add("--seconds", metavar="S", type=_at_least(4), default=10, help="of each run (%(default)s; punctual: twice that)")
    add("--chunks", metavar="N", type=_count, default=3_000_000, help="of the case long, e.g. 10M (3M)")
    add("--requests", metavar="N", type=_count, default=1_000_000, help="of the case scale, e.g. 10M (1M)")
    add("--json", metavar="FILE", type=Path, help="write the table for machines, too")
    return parser  # fmt: skip


def _case(text: str) -> str:
    if text not in cases.CASES:
        raise argparse.ArgumentTypeError(f"no case {text!r}; there are {', '.join(cases.CASES)}")
    return text


class _at_least:  # noqa: N801  reads as a function where it is used
    """A whole number that is not smaller than `least`."""

    def __init__(self, least: int) -> None:
        self._least = least

    def __call__(self, text: str) -> int:
        if int(text) < self._least:
            raise argparse.ArgumentTypeError(f"{text} is less than {self._least}")
        return int(text)

    def __repr__(self) -> str:
        return "whole number"


def _count(text: str) -> int:
    """10M, 500k or 1000."""
    scale = {"k": 1_000, "M": 1_000_000}.get(text[-1:], 1)
    return int(float(text.rstrip("kM")) * scale)


if __name__ == "__main__":
    sys.exit(main())
