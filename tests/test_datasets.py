"""Prompts out of files in the layouts people have, sampled with a seed; and a line for each mistake in them."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.workload.datasets import DatasetError, Example, Sample, load, read, save
from loadtests.workload.datasets.model import RowError
from loadtests.workload.datasets.reading import Reservoir
from loadtests.workload.datasets.text import elements

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = Path(__file__).resolve().parent.parent

TALKS = [
    {"id": "a_0", "conversations": [
        {"from": "human", "value": "Wie spät ist es? 🕒"}, {"from": "gpt", "value": "Zwölf."},
        {"from": "human", "value": "And in Lisbon?"}, {"from": "gpt", "value": "Eleven."},
    ]},
    {"id": "a_1", "conversations": [
        {"from": "gpt", "value": "the end of an answer"}, {"from": "system", "value": "Be brief."},
        {"from": "user", "value": "Why?"}, {"from": "human", "value": " "}, {"from": "chatgpt", "value": "Because."},
    ]},
    {"id": "a_2", "conversations": []},
    {"id": "a_3", "conversations": [{"from": "gpt", "value": "nobody asked"}]},
    {"id": "a_4", "conversations": [{"from": "human", "value": "no answer"}]},
]  # fmt: skip
SAID = (
    Example(
        ({"role": "user", "content": "Wie spät ist es? 🕒"},), ("And in Lisbon?",), output_chars=len("Zwölf.")
    ),
    Example(
        ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}), output_chars=len("Because.")
    ),
    Example(({"role": "user", "content": "no answer"},)),
)  # fmt: skip


def user(text: str) -> tuple[dict[str, Any], ...]:
    return ({"role": "user", "content": text},)


def sampled(path: Path, text: str | bytes, seed: int = 1, **spec: Any) -> Sample:
    """The sample of a file with this content."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read({"file": str(path), **spec}, seed)


def as_lines(rows: list[Any]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


@pytest.mark.parametrize("written", [
    lambda: json.dumps(TALKS), lambda: json.dumps(TALKS, indent=2, ensure_ascii=False), lambda: as_lines(TALKS),
    lambda: "\ufeff" + json.dumps(TALKS) + "\r\n",
], ids=["one line", "indented", "json lines", "byte order mark"])  # fmt: skip
@pytest.mark.parametrize("form", [None, "sharegpt"])
def test_sharegpt_gives_what_users_say(tmp_path: Path, written: Callable[[], str], form: str | None) -> None:
    """Answers in front and blank texts are dropped; a_2 and a_3, where no user says anything, are left out."""
    found = sampled(tmp_path / "talks.json", written(), format=form)

    assert found == Sample("talks.json", SAID, rows=5, left_out=2)
    assert found.words() == "3 of 3 prompts of talks.json (2 rows without a prompt left out)"


def test_conversations_are_read_with_roles_too_and_with_parts(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    rows = [
        {"messages": [{"role": "developer", "content": "Short."}, {"role": "user", "content": parts},
                      {"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "7"},
                      {"role": "user", "content": parts}, {"role": "assistant", "content": "A cat."}]},
        {"messages": [{"role": "user", "content": "Hi"}], "system": "Be kind."},
    ]  # fmt: skip

    found = sampled(tmp_path / "chats.jsonl", as_lines(rows)).examples

    assert found[0] == Example(
        ({"role": "system", "content": "Short."}, {"role": "user", "content": parts}), ("What is this?",)
    )
    assert found[1].messages == ({"role": "system", "content": "Be kind."}, *user("Hi"))


def test_openai_batch_input_is_taken_as_it_is(tmp_path: Path) -> None:
    """All messages, the cap under either name, and what has no place of its own as `extra`."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
        {"role": "tool", "tool_call_id": "1", "content": "rain"},
    ]
    bodies = [
        {"model": "m", "messages": messages, "max_tokens": 50, "tools": [{"type": "function"}], "stream": True},
        {"model": "m", "messages": messages[:1], "max_completion_tokens": 7, "response_format": {"type": "text"}},
        {"model": "m", "messages": messages[:1]},
    ]
    text = as_lines([
        {"custom_id": f"r{i}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        for i, body in enumerate(bodies)
    ])  # fmt: skip

    found = sampled(tmp_path / "batch.jsonl", text)

    assert found.examples == (
        Example(tuple(messages), output_tokens=50, extra={"tools": [{"type": "function"}]}),
        Example(user("Weather?"), output_tokens=7, extra={"response_format": {"type": "text"}}),
        Example(user("Weather?")),
    )
    assert sampled(tmp_path / "batch.txt", text, format="openai-batch").examples == found.examples


ROWS: list[dict[str, Any]] = [
    {"question": 'Say "hi",\nplease', "instructions": "Be brief.", "length": 12, "other": 1},
    {"question": "Größe? 📏", "instructions": None, "length": None, "other": 2},
    {"question": "  ", "instructions": "Be brief.", "length": 3, "other": 3},
]
COLUMNS = {"prompt": "question", "system": "instructions", "output_tokens": "length"}


def table(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """A file of several row groups."""
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=2)
    return sink.getvalue()


@pytest.mark.parametrize(("name", "content"), [
    ("rows.jsonl", as_lines(ROWS)), ("rows.json", json.dumps(ROWS)), ("rows.csv", table(ROWS)),
    ("german.csv", table(ROWS, ";")), ("excel.csv", "\ufeff" + table(ROWS)), ("rows.tsv", table(ROWS, "\t")),
    ("rows.parquet", parquet(ROWS)), ("floats.csv", table(ROWS).replace(",12,", ",12.0,")),
])  # fmt: skip
def test_named_columns_are_the_same_in_every_format(tmp_path: Path, name: str, content: str | bytes) -> None:
    found = sampled(tmp_path / name, content, columns=COLUMNS)

    assert found.examples == (
        Example(({"role": "system", "content": "Be brief."}, *user('Say "hi",\nplease')), output_tokens=12),
        Example(user("Größe? 📏")),
    )
    assert (found.rows, found.left_out) == (3, 1)


@pytest.mark.parametrize(("name", "content", "columns"), [
    ("plain.jsonl", '{"prompt": "Hi", "output_tokens": 5, "system": ""}\n\n{"prompt": "Ho"}', None),
    ("half.jsonl", '{"q": "Hi", "output_tokens": 5}\n{"q": "Ho"}', {"prompt": "q"}),
    ("plain.csv", "id,prompt,output_tokens\n1,Hi,5\n\n2,Ho,\n", None),
    ("deep.jsonl", '{"a": {"b": "Hi"}, "n.t": 5}\n{"a": {"b": "Ho"}, "n.t": null}',
     {"prompt": "a.b", "output_tokens": "n.t"}),
    ("deep.parquet", parquet([{"a": {"b": "Hi", "c": 1}, "n": 5.0}, {"a": {"b": "Ho", "c": 1}, "n": None}]),
     {"prompt": "a.b", "output_tokens": "n"}),
    ("talks.parquet", parquet([{"conversation": [{"role": "user", "content": "Hi"}], "output_tokens": 5},
                               {"conversation": [{"role": "user", "content": "Ho"}], "output_tokens": None}]), None),
    ("talks.csv", table([{"talk": '[{"role": "user", "content": "Hi"}]', "n": 5},
                         {"talk": '[{"from": "human", "value": "Ho"}]', "n": None}]),
     {"messages": "talk", "output_tokens": "n"}),
])  # fmt: skip
def test_columns_have_usual_names_paths_and_conversations(
    tmp_path: Path, name: str, content: str | bytes, columns: dict[str, str] | None
) -> None:
    assert sampled(tmp_path / name, content, columns=columns).examples == (
        Example(user("Hi"), output_tokens=5), Example(user("Ho")),
    )  # fmt: skip


def test_a_field_of_csv_may_be_long_and_the_process_keeps_its_limit(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    found = sampled(tmp_path / "long.csv", f"prompt\n{'x' * 200_000}\n").examples

    assert (found[0].messages[0]["content"], csv.field_size_limit()) == ("x" * 200_000, before)


def test_half_a_surrogate_pair_can_be_sent(tmp_path: Path) -> None:
    """Whole pairs are their character; a half, which UTF-8 cannot say, is U+FFFD wherever it is."""
    text = r'{"prompt": "a\ud83d\ude00b\ud83dc\ude00"}' + "\n" + r'{"prompt": "\udfff"}'
    batch = r'{"body": {"messages": [{"role": "user", "content": "\ud83d!"}], "a\ud83d": ["\udfff"]}}'

    found = sampled(tmp_path / "x.jsonl", text).examples
    assert [example.messages[0]["content"] for example in found] == ["a😀b\ufffdc\ufffd", "\ufffd"]
    assert sampled(tmp_path / "b.jsonl", batch).examples == (Example(user("\ufffd!"), extra={"a\ufffd": ["\ufffd"]}),)


# The streamed array.

TOO_LONG = (
    "isn't JSON that can be read: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits"
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just('🕒\\"\u2028é'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


class Short(io.BytesIO):
    """A file that gives fewer bytes than asked for, as a pipe does."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        super().__init__(data)
        self._sizes = sizes

    def read(self, size: int | None = -1) -> bytes:  # noqa: D102 - as BytesIO says
        return super().read(self._sizes.pop() if self._sizes else size)


@given(st.lists(JSON, max_size=5), st.booleans(), st.sampled_from([None, 1]), st.integers(1, 40), st.data())
def test_any_pieces_of_an_array_give_the_same_elements(
    values: list[Any], ascii_only: bool, indent: int | None, piece: int, data: st.DataObject
) -> None:
    """Wherever it is cut: in an escape, between the halves of a pair, in a character's bytes, in a number."""
    text = json.dumps(values, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    sizes = data.draw(st.lists(st.integers(1, 9), max_size=60))

    assert list(elements(Short(text, sizes), piece)) == values


def until_mistake(text: bytes, piece: int) -> tuple[list[Any], str]:
    """The elements that came, and what is wrong with the next."""
    found: list[Any] = []
    try:
        found.extend(elements(io.BytesIO(text), piece))
    except RowError as error:
        return found, str(error)
    return found, ""


@given(st.lists(JSON, max_size=3), st.integers(1, 40), st.data())
def test_an_array_that_is_cut_off_is_a_mistake_behind_what_came(
    values: list[Any], piece: int, data: st.DataObject
) -> None:
    text = json.dumps(values).encode()
    found, why = until_mistake(text[: data.draw(st.integers(0, len(text) - 1))], piece)

    assert why.startswith(("isn't a JSON array", "is cut off", "is missing: the file ends", "has no comma"))
    # A number at the very end may be the start of a longer one; of `0.5`, cut to `0.`, the dot is what is wrong.
    assert found[:-1] == values[: max(len(found) - 1, 0)]


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize(("text", "came", "line"), [
    (b'[{"a": 1} {"a": 2}]', 1, "has no comma before it"),
    (b'[1, {"a" 1}, 3, "and much more that nobody looks at"]', 1,
     "isn't JSON: Expecting ':' delimiter (character 6)"),
    (b"[1, ]          and more than sixteen", 1, "isn't JSON: Expecting value (character 1)"),
    (b'[1, "a\nb", "and some more of it all"]', 1, "isn't JSON: Invalid control character at (character 3)"),
    (b'[1, 2, "\xff"]', 2, "isn't UTF-8 (byte 0xff: invalid start byte)"),
    (b'[1, "\xf0\x9f', 1, "isn't UTF-8 (byte 0xf0: unexpected end of data)"),
    (b"[1, 2] []", 2, "comes after the array's end"), (b"[1, 2", 2, "is missing: the file ends before its array does"),
    (b'[1, "2', 1, "is cut off: the file ends inside it"), (b'{"a": 1}', 0, "isn't a JSON array"),
    (b"[" * 100_000, 0, "isn't JSON that can be read: it is nested too deeply"),
    (b"[1, " + b"9" * 5000 + b"]", 1, TOO_LONG),
])  # fmt: skip
def test_a_broken_array_says_what_is_wrong_with_the_next_element(piece: int, text: bytes, came: int, line: str) -> None:
    found, why = until_mistake(text, piece)

    assert (len(found), why) == (came, line)


# Sampling.


def numbered(n: int) -> str:
    return as_lines([{"prompt": str(i)} for i in range(n)])


def test_a_sample_follows_from_seed_and_file_alone(tmp_path: Path) -> None:
    """And it is in the file's order; with as many rows as wanted it is all of them."""
    drawn = [
        [int(found.messages[0]["content"]) for found in sampled(tmp_path / "n.jsonl", text, seed, sample=50).examples]
        for text, seed in [(numbered(9000), 1), (numbered(9000), 1), (numbered(9000), 2), (numbered(50), 3)]
    ]  # fmt: skip

    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(set(chosen)) == 50 and chosen == sorted(chosen) for chosen in drawn)
    assert drawn[3] == list(range(50))
    assert sampled(tmp_path / "n.jsonl", numbered(9000), sample=50).words() == "50 of 9,000 prompts of n.jsonl"


def test_every_set_of_rows_is_as_likely_as_any_other() -> None:
    """
    2 of 6 rows are one of 15 pairs, 200 times each in 3000 seeds.

    Chi-square with 14 degrees of freedom exceeds 36.1 once in a thousand.
    """
    pairs: Counter[tuple[int | None, ...]] = Counter()
    for seed in range(3000):
        kept = Reservoir(2, seed)
        for i in range(6):
            kept.offer(Example((), output_tokens=i))
        pairs[tuple(example.output_tokens for example in kept.examples())] += 1

    assert set(pairs) == set(combinations(range(6), 2))
    assert sum((count - 200) ** 2 / 200 for count in pairs.values()) < 36.1


# Mistakes.


@pytest.mark.parametrize(("name", "content", "spec", "line"), [
    ("p.jsonl", '{"prompt": "a"}\n\n{"text": "b", "id": 1}', {},
     ":3: column prompt: is missing; the row has [text, id]"),
    ("p.jsonl", '{"prompt": "a"}\n{"prompt": 5}', {}, ":2: column prompt: 5 isn't text"),
    ("p.jsonl", '{"prompt": "a"}\nnothing', {}, ":2: isn't JSON: Expecting value (character 1)"),
    ("p.jsonl", '{"prompt": "a"}\n[1]', {}, ":2: [1] isn't a JSON object"),
    ("p.jsonl", b'{"prompt": "a"}\n{"prompt": "\xe9t\xe9"}', {},
     ":2: isn't UTF-8 (byte 0xe9: invalid continuation byte)"),
    ("p.jsonl", "[" * 100_000, {}, ": element 1: isn't JSON that can be read: it is nested too deeply"),
    ("p.jsonl", '{"question": "a"}', {},
     (":1: has none of the columns [prompt, conversations, conversation, messages]; "
      'name yours in columns, like prompt = "question": the row has [question]')),
    ("p.jsonl", '{"prompt": "a", "system": 1}', {}, ":1: column system: 1 isn't text"),
    ("p.jsonl", '{"q": "a", "sys": "b"}', {"columns": {"prompt": "q", "system": "syst"}},
     ': column syst: isn\'t one of [q, sys]; did you mean "sys"?'),
    ("p.jsonl", '{"q": "a"}', {"columns": {"promt": "q"}},
     ': columns.promt isn\'t one of [prompt, system, messages, output_tokens]; did you mean "prompt"?'),
    ("p.jsonl", '{"q": "a"}', {"columns": {"prompt": "q", "messages": "q"}},
     ": columns.prompt and columns.messages say the same twice; leave one out"),
    ("p.jsonl", '{"messages": "no"}', {}, ":1: column messages: isn't JSON: Expecting value (character 1)"),
    ("p.jsonl", '{"messages": [5]}', {}, ":1: column messages: message 1: 5 isn't an object"),
    ("p.jsonl", '{"messages": [{"content": "a"}]}', {}, ":1: column messages: message 1: has neither from nor role"),
    ("p.jsonl", '{"messages": [{"role": "user", "content": 5}]}', {}, ":1: column messages: message 1: 5 isn't text"),
    ("p.jsonl", '{"messages": [{"role": "usr", "content": "a"}]}', {},
     (':1: column messages: message 1: "usr" isn\'t one of [user, human, assistant, gpt, chatgpt, bing, bard, model, '
      "system, developer, tool, function, function_call, function_response, tool_call, observation]; "
      'did you mean "user"?')),
    ("p.jsonl", '{"prompt": " "}', {}, ": has no prompt in any of its 1 rows"),
    ("p.jsonl", "", {}, ": is empty"), ("p.csv", "\ufeff\n", {}, ": is empty"), ("p.json", "[]", {}, ": has no rows"),
    ("p.csv", "prompt,id\n", {}, ": has no rows"),
    ("p.json", '[{"prompt": "a"}, {"id": 1}]', {}, ": element 2: column prompt: is missing; the row has [id]"),
    ("p.json", '[{"prompt": "a"}, {"prompt": "b"', {}, ": element 2: is cut off: the file ends inside it"),
    ("s.json", '[{"prompt": "a"}]', {"format": "sharegpt"},
     (": element 1: has none of the columns [conversations, conversation, messages]; "
      'name yours in columns, like messages = "dialog": the row has [prompt]')),
    ("p.csv", "prompt,output_tokens\na,abc\n", {},
     ':2: column output_tokens: "abc" isn\'t a whole number of at least 1'),
    ("p.csv", 'prompt,output_tokens\n"a\nb",1\nc,0\n', {},
     ':4: column output_tokens: "0" isn\'t a whole number of at least 1'),
    ("p.csv", "question,id\na,1\n", {"columns": {"prompt": "questin"}},
     ':1: column questin: isn\'t one of [question, id]; did you mean "question"?'),
    ("p.csv", "prompt,id\na,1\nb,c,2\n", {}, ":3: has 3 fields, the header has 2"),
    ("p.csv", 'prompt\na\n"b\nc\n', {}, ":3: isn't CSV: unexpected end of data"),
    ("p.csv", b"prompt\na\nb\n\xff\n", {}, ":4: isn't UTF-8 (byte 0xff: invalid start byte)"),
    ("p.parquet", parquet([{"prompt": "a"}, {"prompt": "b"}]), {"columns": {"prompt": "promt"}},
     ': column promt: isn\'t one of [prompt]; did you mean "prompt"?'),
    ("p.parquet", parquet([{"prompt": "a", "output_tokens": 1.0}] * 2 + [{"prompt": "b", "output_tokens": 2.5}]), {},
     ":3: column output_tokens: 2.5 isn't a whole number of at least 1"),
    ("b.jsonl", '{"body": {"messages": []}}', {}, ":1: column body.messages: has no messages"),
    ("b.jsonl", '{"body": {"messages": [{"content": "a"}]}}', {}, ":1: column body.messages: message 1: has no role"),
    ("b.jsonl", '{"body": {"messages": [{"role": "user"}], "max_tokens": true}}', {},
     ":1: column body.max_tokens: true isn't a whole number of at least 1"),
    ("b.jsonl", '{"body": {"messages": [{"role": "user"}], "seed": 99999999999999999999999}}', {},
     ":1: can't be sent as JSON (Integer exceeds 64-bit range)"),
    ("b.jsonl", '{"custom_id": "a", "body": {}}', {"format": "openai-batch"},
     ":1: column body.messages: is missing; the row has [custom_id, body]"),
    ("b.jsonl", "{}", {"format": "openai-batch", "columns": {"prompt": "a"}},
     ": columns have no meaning with openai-batch; leave them out, or say format jsonl"),
    ("p.jsonl", "{}", {"format": "sharegtp"},
     ': format "sharegtp" isn\'t one of [sharegpt, openai-batch, jsonl, csv, parquet]; did you mean "sharegpt"?'),
    ("p.jsonl", "{}", {"sample": 0}, ": sample 0 isn't a whole number of at least 1"),
    ("p.txt", "a", {},
     (": isn't named like a dataset (.json, .jsonl, .ndjson, .csv, .tsv, .parquet); "
      "say its format, one of [sharegpt, openai-batch, jsonl, csv, parquet]")),
])  # fmt: skip
def test_a_mistake_is_a_line_with_file_row_and_column(
    tmp_path: Path, name: str, content: str | bytes, spec: dict[str, Any], line: str
) -> None:
    with pytest.raises(DatasetError) as raised:
        sampled(tmp_path / name, content, **spec)

    assert str(raised.value) == f"{tmp_path / name}{line}"


def test_a_file_that_is_no_dataset_is_a_line_too(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"gone\.csv: cannot be read \(No such file or directory\)$"):
        read({"file": tmp_path / "gone.csv"}, 1)
    with pytest.raises(DatasetError, match=r"x\.parquet: isn't parquet that can be read \(Parquet .*\)$"):
        sampled(tmp_path / "x.parquet", "no parquet, whatever its name says")
    with pytest.raises(DatasetError) as raised:
        sampled(tmp_path / "x.jsonl", r'{"prompt\nwith\na\ud83d ": "break"}', columns={"prompt": "p"})
    assert str(raised.value).endswith("x.jsonl:1: column p: is missing; the row has [prompt with a\ufffd ]")


# Kept beside a run.


def test_a_saved_sample_is_the_sample_and_nobody_elses(tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    path.touch(mode=0o644)
    extra = {"tools": [{"type": "function"}]}
    sample = Sample("talks.json", (*SAID, Example(user("x"), output_tokens=3, extra=extra)), rows=9, left_out=2)

    save(sample, path)

    assert load(path) == sample
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600  # noqa: PTH116


READ = """
import re, sys
from pathlib import Path
from loadtests.workload.datasets import read
def peak_kib():
    return int(re.search("VmHWM: *([0-9]+)", Path("/proc/self/status").read_text().replace("\\t", " "))[1])
before = peak_kib()
sample = read({"file": sys.argv[1], "sample": 10}, 1)
print(len(sample.examples), sample.rows, peak_kib() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "limit_mib"), [("big.json", 24), ("big.jsonl", 24), ("big.csv", 24), ("big.parquet", 80)]
)
def test_memory_stays_bounded_whatever_the_size(tmp_path: Path, name: str, limit_mib: int) -> None:
    """96 MiB: 8192 rows of 12 KiB, of which 10 are kept; of parquet one row group, in pages of 12 MiB."""
    rows = [{"prompt": f"{i} " + "prompt 🕒 " * 1024} for i in range(8192)]
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path, compression="none", use_dictionary=False)
    else:
        path.write_text({"big.json": json.dumps, "big.jsonl": as_lines, "big.csv": table}[name](rows))  # type: ignore[operator]
    del rows
    done = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True, cwd=HOME)
    kept, seen, grown_kib = map(int, done.stdout.split())

    assert path.stat().st_size > 90 << 20
    assert (kept, seen) == (10, 8192)
    assert grown_kib < limit_mib << 10
