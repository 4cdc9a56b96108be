"""quantiles.parquet: written and read back, by this version and by others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import synthetic
from digests import ALL, side
from gating import FAULT
from hypothesis import given, settings
from hypothesis import strategies as st
from manyruns import TTFT

from analysis import arms, digest, files, quantiles, rundir
from analysis.digest import Digest, Number
from analysis.metrics import METRICS
from analysis.places import Place
from analysis.summary import judge
from loadtests import record

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, *digests: Digest) -> Path:
    pq.write_table(quantiles.to_table(digests), path)
    return path


def test_a_run_comes_back_as_it_was_and_is_kilobytes(tmp_path: Path) -> None:
    path = synthetic.write(tmp_path / "r", synthetic.Recipe(n=2000, rate=50))
    judged = judge(rundir.load(path))
    files.write_judgement([judged])

    assert quantiles.read(path / record.QUANTILES) == [digest.of(judged)]
    assert (path / record.QUANTILES).stat().st_size < 40_000


def test_arms_and_their_blocks_come_back_from_one_file(tmp_path: Path) -> None:
    recipe = synthetic.Recipe(n=80, tokens=5)
    path = synthetic.write_arms(tmp_path / "r", {"a": recipe, "b": recipe}, blocks=4)
    judged = [judge(run) for run in arms.arms(rundir.load(path))]
    files.write_judgement(judged)
    found = quantiles.read(path / record.QUANTILES)

    assert found == [digest.of(one) for one in judged]
    assert [one.facts.arm for one in found] == ["a", "b"]
    assert [sorted(one.blocks) for one in found] == [[0, 1, 2, 3]] * 2
    assert (path / record.QUANTILES).stat().st_size < 80_000


groups = st.sampled_from(["stream", "whole", "all", "run", "turn 9+", "prompt 65-256 tokens", "ü, (x)"])
places = st.builds(
    Place, metric=st.sampled_from([one.name for one in METRICS]),
    by=st.sampled_from([None, "workload", "turn", "prompt", "time"]), group=groups,
    tokens=st.sampled_from([None, "usage", "estimate", "tokenizer tiny-1"]),
    what=st.sampled_from(["", "p5", "p50", "p55", "p95", "p99", "p99.9"]),
)  # fmt: skip
finite = st.floats(allow_nan=False, allow_infinity=False)
ends = st.none() | finite
numbers = st.builds(Number, finite, st.integers(0, 10**9), ends, ends, st.booleans())


@settings(max_examples=50)
@given(
    told=st.dictionaries(places, numbers, max_size=8),
    blocks=st.dictionaries(st.integers(0, 99), st.dictionaries(places, finite, min_size=1, max_size=3), max_size=3),
    objectives=st.lists(st.text(max_size=9), max_size=2).map(tuple), at=st.none() | st.integers(0, 9),
)  # fmt: skip
def test_any_digest_comes_back(
    tmp_path_factory: pytest.TempPathFactory, told: dict[Place, Number], blocks: dict[int, dict[Place, float]],
    objectives: tuple[str, ...], at: int | None,
) -> None:  # fmt: skip
    (bare,) = side({TTFT: [0.2]}, labels={"commit": "ä"})
    one = replace(
        bare, numbers=told, blocks=blocks, objectives=objectives, round=at, verdict="invalid", faults=(FAULT,)
    )

    assert quantiles.read(written(tmp_path_factory.mktemp("q") / "q.parquet", one)) == [one]


def about(path: Path, change: Any) -> Path:
    """The file as another version of firsttoken would have written it."""
    table = pq.read_table(path)
    words = dict(table.schema.metadata)
    told = json.loads(words[quantiles.ABOUT])
    change(told[0])
    words[quantiles.ABOUT] = json.dumps(told).encode()
    pq.write_table(table.replace_schema_metadata(words), path)
    return path


def test_what_a_later_version_tells_besides_is_left_out(tmp_path: Path) -> None:
    """A fact, a field of a check, a key of the digest and a metric that this version does not know."""
    (one,) = side({TTFT: [0.2]}, verdict="doubtful", faults=(replace(FAULT, status="doubtful"),))
    later = replace(one, numbers={**one.numbers, TTFT._replace(metric="mood_s"): Number(1, 1)})

    def tell(told: dict[str, Any]) -> None:
        told["facts"]["weather"] = "fine"
        told["faults"][0]["link"] = "https://example.invalid"
        told["new"] = [1]

    assert quantiles.read(about(written(tmp_path / "q.parquet", later), tell)) == [one]


def test_what_an_earlier_version_did_not_tell_is_empty(tmp_path: Path) -> None:
    (one,) = side({TTFT: [0.2]}, labels={"a": "b"})

    def forget(told: dict[str, Any]) -> None:
        for name in ("labels", "settings", "clock", "seed", "argv"):
            del told["facts"][name]
        for name in ("faults", "objectives", "round", "session"):
            del told[name]

    (found,) = quantiles.read(about(written(tmp_path / "q.parquet", one), forget))

    assert found.numbers == one.numbers
    assert (found.facts.labels, found.facts.clock, found.facts.seed, found.facts.argv) == ({}, "", None, ())
    assert (found.faults, found.objectives, found.round, found.session) == ((), (), None, one.facts.run_id)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({b"schema_version": b"1", quantiles.ABOUT: b"[]"}, "(schema 1)"),
        ({b"schema_version": b"99", quantiles.ABOUT: b"[]"}, "(schema 99)"),
        ({b"schema_version": b"2"}, "(schema 2)"),
        (None, "(schema unknown)"),
    ],
)
def test_a_file_of_another_schema_is_one_line(tmp_path: Path, metadata: Any, says: str) -> None:
    path = tmp_path / "q.parquet"
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata(metadata), path)

    with pytest.raises(rundir.RunError) as refused:
        quantiles.read(path)
    text = str(refused.value)
    assert text.startswith(f"{path}: not a quantiles file of this firsttoken {says}")
    assert "`firsttoken report RUN` makes it anew" in text
    assert "\n" not in text


@pytest.mark.parametrize("content", [None, b"", b"PAR1 and then nothing"])
def test_what_is_no_file_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "q.parquet"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(rundir.RunError, match="cannot be read as parquet"):
        quantiles.read(path)


def test_a_file_cut_short_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "q.parquet", *side({place: [0.2] for place in ALL}))
    path.write_bytes(path.read_bytes()[:-100])

    with pytest.raises(rundir.RunError, match="cannot be read as parquet"):
        quantiles.read(path)


# The key of a number.


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Place("ttft_s", None, "stream", None, "p95"), "ttft_p95"),
        (Place("latency_s", None, "stream", None, "p50"), "latency_p50"),
        (Place("latency_s", None, "whole", None, "p50"), "latency_p50 (whole)"),
        (Place("latency_s", None, "all", None, "p99.9"), "latency_p99.9"),
        (Place("send_lag_s", None, "all", None, "p50"), "send_lag_p50"),
        (Place("goodput_per_s", None, "run", None, ""), "goodput"),
        (Place("tokens_per_s", None, "run", "usage", ""), "tokens_per_s"),
        (Place("tokens_per_s", None, "run", "estimate", ""), "tokens_per_s (estimate)"),
        (Place("output_tokens_per_s", None, "whole", "estimate", "p50"), "output_tokens_per_s_p50 (whole, estimate)"),
        (Place("ttft_s", "turn", "turn 9+", None, "p50"), "ttft_p50 (turn 9+)"),
    ],
)
def test_a_number_has_words(place: Place, words: str) -> None:
    assert place.words == words


def test_numbers_of_one_run_have_words_of_their_own(tmp_path: Path) -> None:
    def mix(row: record.Record, _: Any) -> None:
        row.workload = "rag" if row.seq % 3 else "chat"
        row.tokens_from = "estimate" if row.seq % 2 else "usage"
        row.turn, row.conversation = row.seq % 4, row.seq // 4

    recipe = synthetic.Recipe(n=200, change=mix)
    found = digest.of(judge(rundir.load(synthetic.write(tmp_path / "r", recipe)))).numbers

    assert len({place.words for place in found}) == len(found) > 300
