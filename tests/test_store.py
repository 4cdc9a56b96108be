"""Runs in a store: what its URL may hold, objects out of parts and parts out of objects, and a run there and back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from commands import in_turn
from hypothesis import given
from hypothesis import strategies as st
from test_finish import TEN, run_dir

from loadtests import manifest, record
from loadtests.finish import Finished, finish
from loadtests.shipping.whole import whole_messages
from loadtests.store import StoreError, Storing, check, is_url, join
from loadtests.store.batches import MOST_BYTES, Growing, rest
from loadtests.store.fetching import fetch
from loadtests.store.mirror import Mirror
from loadtests.store.objects import Objects
from loadtests.store.url import split

if TYPE_CHECKING:
    from pathlib import Path


# The URL.


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("s3://AKIA:pass/word@bucket/p", "password"),
        ("s3://AKIAEXAMPLE@bucket/p", "password"),
        ("gs://me:sesame@bucket/p", "password"),
        ("abfs://account:sesame@container/p", "password"),
        ("abfs://c@a.dfs.core.windows.net/p?client_secret=sesame", "client_secret"),
        ("s3://b/p?region=sk-0123456789abcdef", "looks like a key"),
        ("s4://bucket/p", "isn't one of"),
        ("https://host/p", "isn't one of"),
        ("s3://", "BUCKET"),
        ("s3://b/p#part", "BUCKET"),
    ],
)
def test_a_url_that_nobody_should_keep_is_refused_without_repeating_it(url: str, word: str) -> None:
    with pytest.raises(StoreError, match=word) as found:
        check(url)

    assert not any(secret in str(found.value) for secret in ("AKIA", "sesame", "sk-0123456789abcdef"))


def test_names_go_before_the_options_of_a_url() -> None:
    url = check("s3://b/p/?endpoint_override=127.0.0.1:9000&scheme=http")

    assert url == "s3://b/p?endpoint_override=127.0.0.1:9000&scheme=http"
    assert join(url, "run", "a.svg") == "s3://b/p/run/a.svg?endpoint_override=127.0.0.1:9000&scheme=http"
    assert split(join(url, "run")) == (url, "run")
    assert check("abfs://c@a.dfs.core.windows.net/p") == "abfs://c@a.dfs.core.windows.net/p"
    assert is_url(url)
    assert not is_url("results/s3")


# Objects out of a part that grows.

SCHEMA = pa.schema([("seq", pa.int64()), ("error", pa.string())])


def part(*rows: int) -> tuple[bytes, list[int]]:
    """An Arrow part of batches of so many rows, as a sink writes it, and where each of its messages ends."""
    data, ends = SCHEMA.serialize().to_pybytes(), []
    for count in (0, *rows):
        if count:
            batch = pa.record_batch([list(range(count)), ["e" * count] * count], schema=SCHEMA)
            data += batch.serialize().to_pybytes()
        ends.append(len(data))
    return data, ends


WHOLE, ENDS = part(3, 1, 7, 2, 40)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8).map(sorted))
def test_the_objects_of_a_part_are_streams_and_together_the_part(tmp_path_factory: pytest.TempPathFactory,
                                                                 sizes: list[int]) -> None:  # fmt: skip
    """Looked at when it has grown to each of these sizes: what comes back ends with the last whole batch."""
    path = tmp_path_factory.mktemp("part") / "requests-0.arrows"
    growing, joined, rows = Growing(path), b"", 0
    for size in sizes:
        path.write_bytes(WHOLE[:size])
        while data := growing.more(size):
            rows += pa.ipc.open_stream(data).read_all().num_rows
            joined += rest(".arrows", data, first=growing.number == 1)
            growing.took()

    last = max((end for end in ENDS if end <= max(sizes, default=0)), default=0)
    assert joined == (WHOLE[:last] if last > ENDS[0] else b"")
    assert rows == sum(count for count, end in zip((3, 1, 7, 2, 40), ENDS[1:], strict=True) if end <= last)


def test_what_a_kill_left_behind_the_last_batch_is_no_message() -> None:
    assert [whole_messages(WHOLE[:end] + tail) for end in ENDS for tail in (b"", b"\0" * 64, b"\xff" * 64)] == [
        end for end in ENDS for _ in range(3)
    ]


def test_an_object_that_did_not_arrive_is_made_again_with_what_came_since(tmp_path: Path) -> None:
    path = tmp_path / "bodies-0.jsonl"
    path.write_bytes(b"1\n2\n3")
    growing = Growing(path)

    assert growing.more(5) == b"1\n2\n"
    path.write_bytes(b"1\n2\n3\n4")
    assert (growing.number, growing.more(7)) == (1, b"1\n2\n3\n")
    growing.took()
    assert (growing.number, growing.more(7)) == (2, b"")


def test_an_object_is_no_larger_than_it_must_be(tmp_path: Path) -> None:
    """Two lines of two thirds of the limit are two objects; one of twice the limit is one."""
    path = tmp_path / "bodies-0.jsonl"
    third = MOST_BYTES // 3
    path.write_bytes(b"a" * 2 * third + b"\n" + b"b" * 2 * third + b"\n" + b"c" * 2 * MOST_BYTES + b"\n")
    growing, lengths = Growing(path), []
    while data := growing.more(path.stat().st_size):
        lengths.append(len(data))
        growing.took()

    assert lengths == [2 * third + 1, 2 * third + 1, 2 * MOST_BYTES + 1]


# A run, there and back.


def begun(path: Path) -> Path:
    """The same run directory, of a run whose first request has been sent."""
    manifest.write(path, manifest.read(path) | {"started_unix_ns": 1})
    return path


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def half(folder: Path) -> Path:
    """A run that was killed when its worker had recorded five of ten arrivals."""
    return begun(run_dir(folder, TEN, {0: list(range(5))}, {0: 6}, clean=False))


def aged(store: Path) -> None:
    """Nothing was put there in the last minute."""
    for path in store.rglob("*"):
        os.utime(path, (1, 1))


def test_a_killed_run_comes_back_from_the_store_and_is_finished(tmp_path: Path) -> None:
    run, store = half(tmp_path / "here"), tmp_path / "store"
    (run.parent / "latest").symlink_to(run.name)
    (run / record.PARTS / "sample-x.jsonl").write_text("{}\n")
    mirror = Mirror(run.parent, Objects(store.as_uri()))
    mirror.beat()
    sent = mirror.sent
    mirror.beat()

    assert mirror.sent == sent  # nothing new, nothing put
    assert files(store) == {"latest"} | {
        f"{run.name}/{name}"
        for name in ("run.json", "parts/requests-0/000001.arrows", "parts/client-0/000001.arrows",
                     "parts/sample-x.jsonl")
    }  # fmt: skip
    aged(store)
    found = fetch(f"{store.as_uri()}/latest", tmp_path / "back")
    assert (found.path, found.on) == (tmp_path / "back" / "store" / run.name, [])
    for name in ("requests-0.arrows", "client-0.arrows", "sample-x.jsonl"):
        assert (found.path / record.PARTS / name).read_bytes() == (run / record.PARTS / name).read_bytes()
    assert finish(found.path) == Finished(10, 5, 4, 1)


def test_a_finished_run_in_a_store_looks_as_on_disk(tmp_path: Path) -> None:
    """The parts' objects go only when the rest is there; a manifest that is there last tells that it is."""
    run, store = half(tmp_path / "here"), tmp_path / "store"
    mirror = Mirror(run.parent, Objects(store.as_uri()))
    mirror.beat()
    finish(run)
    (run / record.CHARTS).mkdir()
    (run / record.CHARTS / "ttft.svg").write_text("<svg/>")
    (run / "mock.truth").write_text("")
    mirror.beat()

    assert files(store / run.name) == files(run)
    assert not (store / run.name / record.PARTS).exists()
    back = fetch(f"{store.as_uri()}/{run.name}", tmp_path / "back").path
    assert files(back) == {record.MANIFEST, record.REQUESTS, record.CLIENT}
    whole = fetch(f"{store.as_uri()}/{run.name}", tmp_path / "all", whole=True).path
    assert files(whole) == files(back) | {f"{record.CHARTS}/ttft.svg"}
    assert pq.read_table(back / record.REQUESTS).equals(pq.read_table(run / record.REQUESTS))


def test_a_finished_run_to_which_a_worker_may_add_rows_is_there_and_so_are_its_parts(tmp_path: Path) -> None:
    """Worker 0 is on another machine, and has not said its last word; then what it kept is brought home."""
    run, store = half(tmp_path / "here"), tmp_path / "store"
    manifest.write(run, manifest.read(run) | {"workers": [{"number": 0, "host": "h"}]})
    mirror = Mirror(run.parent, Objects(store.as_uri()))
    mirror.beat()
    assert finish(run) == Finished(10, 5, 4, 1)
    mirror.beat()

    there = files(store / run.name)
    assert {record.MANIFEST, record.REQUESTS, record.CLIENT, "parts/requests-0/000001.arrows"} <= there
    back = fetch(f"{store.as_uri()}/{run.name}", tmp_path / "back")
    assert (files(back.path), back.on) == ({record.MANIFEST, record.REQUESTS, record.CLIENT}, [])
    assert pq.read_table(back.path / record.REQUESTS).num_rows == 10

    (run / record.PARTS / "ended-0").touch()
    finish(run)
    mirror.beat()
    assert files(store / run.name) == files(run) == {record.MANIFEST, record.REQUESTS, record.CLIENT}
    assert (store / run.name / record.MANIFEST).read_bytes() == (run / record.MANIFEST).read_bytes()


def test_parts_that_were_about_to_be_deleted_are_no_run(tmp_path: Path) -> None:
    """The mirror was killed between the last file and the last object of the parts."""
    run, store = half(tmp_path / "here"), tmp_path / "store"
    kept = Objects(store.as_uri())
    Mirror(run.parent, kept).beat()
    leftover = (store / run.name / record.PARTS / "requests-0" / "000001.arrows").read_bytes()
    finish(run)
    Mirror(run.parent, kept).beat()
    kept.put(leftover, f"{run.name}/{record.PARTS}/requests-0/000002.arrows")
    back = fetch(f"{store.as_uri()}/{run.name}", tmp_path / "back").path

    assert not (back / record.PARTS).exists()
    assert finish(back) == Finished(10, 5, 4, 1)


def test_a_run_that_has_not_begun_is_not_there(tmp_path: Path) -> None:
    """Its directory is taken back where its workers don't come up."""
    run_dir(tmp_path / "here", TEN, {0: []}, {0: 0})
    mirror = Mirror(tmp_path / "here", Objects((tmp_path / "store").as_uri()))
    mirror.beat()

    assert mirror.sent == 0


def test_a_campaign_is_there_with_its_runs(tmp_path: Path) -> None:
    """One of its runs alone brings the campaign's file with it, which tells the run's arm and round."""
    folder, store = tmp_path / "here" / "c", tmp_path / "store"
    for name in ("01", "02"):
        run = half(tmp_path / name)
        folder.mkdir(parents=True, exist_ok=True)
        run.rename(folder / name)
    (folder / "campaign.json").write_bytes(orjson.dumps({"runs": []}))
    Mirror(folder.parent, Objects(store.as_uri())).beat()
    aged(store)
    whole = fetch(f"{store.as_uri()}/c", tmp_path / "here").path
    one = fetch(f"{store.as_uri()}/c/02", tmp_path).path

    assert [finish(whole / name).recorded for name in ("01", "02")] == [5, 5]
    assert one == tmp_path / "c" / "02"
    assert files(one.parent) == {"campaign.json", *(f"02/{name}" for name in files(one))}


@pytest.mark.parametrize(
    ("name", "text"), [("nope", "no run there; .* has b-run"), ("latest", r"holds '\.\./a', which is no name")]
)
def test_what_is_not_there_is_said_with_what_is(tmp_path: Path, name: str, text: str) -> None:
    store = Objects(tmp_path.as_uri())
    store.put(b"{}", "b-run/run.json")
    store.put(b"../a\n", "latest")

    with pytest.raises(StoreError, match=text):
        fetch(f"{tmp_path.as_uri()}/{name}", tmp_path)


def test_a_place_that_takes_nothing_is_known_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Objects((tmp_path / "store").as_uri()).probe()

    assert files(tmp_path / "store") == set()
    with pytest.raises(StoreError, match="Not a directory"):
        Objects((tmp_path / "file" / "store").as_uri()).probe()


@pytest.mark.slow
def test_the_verbs_take_a_url_and_give_back_what_they_changed(tmp_path: Path) -> None:
    """`repair` of a run that seems to be on; of one that was killed; and of one on disk, into a store."""
    run, store, on = half(tmp_path / "here"), tmp_path / "store", tmp_path / "on"
    for place in (store, on):
        Mirror(run.parent, Objects(place.as_uri())).beat()
    aged(store)
    url, out = f"{store.as_uri()}/{run.name}", f"{tmp_path.as_uri()}/new"
    refused, mended, local = in_turn(
        [["repair", f"{on.as_uri()}/{run.name}"], ["repair", url], ["repair", str(run), "--out", out]], tmp_path
    )

    assert (refused.returncode, "the run is on" in refused.stderr) == (2, True)
    assert mended.stdout == f"{url}: 10 rows: 5 recorded, 4 unsent, 1 lost\n", mended.stderr
    judged = {record.VALIDITY, record.QUANTILES}
    assert files(store / run.name) == {record.REQUESTS, record.CLIENT, record.MANIFEST} | judged
    assert not (store / run.name / record.PARTS).exists()
    assert local.returncode == 0, local.stderr
    assert files(tmp_path / "new") == {"latest", *(f"{run.name}/{name}" for name in files(run))}
    assert (tmp_path / "new" / "latest").read_text() == f"{run.name}\n"


@pytest.mark.slow
def test_a_mirror_whose_parent_is_gone_puts_what_the_workers_still_write(tmp_path: Path) -> None:
    """Its stdin ends without a word; it ends by itself, five seconds before the next beat would have been."""
    run, store = half(tmp_path / "here"), tmp_path / "store"
    with Storing("mirror", store.as_uri(), str(run.parent)) as storing:
        assert storing.wait() == ""
        assert files(store) == set()

    assert f"{run.name}/parts/requests-0/000001.arrows" in files(store)
