"""A workload's file: what it may hold, and every mistake in one line with its file, line and key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadtests.workload import NAMES, WorkloadError, definitions, make

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """\
name = "mine"
description = "Everything a file may say"
input = "lognormal:400:0.5"
output = { law = "uniform", min = 10, max = 20 }
stream_share = 0.5
languages = ["de"]
system = "Be brief."
tasks = ["Count these:"]
filler = "prose"
cache = "warm"
distinct = 7

[prefix]
share = 0.5
tokens = 100
groups = 3

[cancel]
share = 0.1
after = "exponential:2s"

[tools]
share = 0.3

[schema]
share = 0.2

[conversation]
turns = "uniform:1:3"
think = "2s"
input = 20
"""


def written(folder: Path, text: str, name: str = "mine.toml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def refused(spelling: str) -> str:
    with pytest.raises(WorkloadError) as caught:
        definitions(spelling)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_resolved_to_plain_json(tmp_path: Path) -> None:
    (found,) = definitions(written(tmp_path, WHOLE))

    assert json.loads(json.dumps(found)) == found
    assert found == {
        "name": "mine", "weight": 1.0, "description": "Everything a file may say",
        "input": {"law": "lognormal", "median": 400, "sigma": 0.5},
        "output": {"law": "uniform", "min": 10, "max": 20},
        "stream_share": 0.5, "languages": ["de"], "system": "Be brief.", "tasks": ["Count these:"],
        "filler": "prose", "cache": "warm", "distinct": 7,
        "prefix": {"share": 0.5, "tokens": 100, "groups": 3},
        "cancel": {"share": 0.1, "after": {"law": "exponential", "mean": 2}},
        "tools": {"share": 0.3}, "schema": {"share": 0.2},
        "conversation": {
            "turns": {"law": "uniform", "min": 1, "max": 3}, "think": {"law": "fixed", "value": 2},
            "input": {"law": "fixed", "value": 20},
        },
    }  # fmt: skip


def test_what_a_file_leaves_open_is_that_of_chat(tmp_path: Path) -> None:
    """So a run's manifest says what was drawn from, whatever a later version's defaults are."""
    (chat,) = definitions("chat")
    (found,) = definitions(written(tmp_path, 'name = "mine"\n[conversation]\n'))

    assert {key: found[key] for key in ("input", "output", "languages")} == {
        key: chat[key] for key in ("input", "output", "languages")
    }
    assert {key: value["law"] for key, value in found["conversation"].items()} == {
        "turns": "lognormal", "think": "lognormal", "input": "lognormal"
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_preset_makes_requests_under_its_name(name: str) -> None:
    (found,) = definitions(name)
    made = make([found], seed=1)
    requests = [made.request(seq) for seq in range(20)]

    assert found["name"] == name
    assert found["description"]
    assert {request.workload for request in requests} == {name}
    assert all(request.output_cap and request.messages for request in requests)
    assert set(made.extra) == {"tools": {"tools"}, "json": {"response_format"}}.get(name, set())


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_an_empirical_law_reads_its_file_once(tmp_path: Path, suffix: str) -> None:
    values = [100, 200, 200]
    if suffix == "csv":
        (tmp_path / "lengths.csv").write_text("tokens,other\n" + "".join(f"{value},x\n" for value in values))
    elif suffix == "jsonl":
        (tmp_path / "lengths.jsonl").write_text("".join(f'{{"tokens": {value}}}\n\n' for value in values))
    else:
        pq.write_table(pa.table({"tokens": values, "other": values}), tmp_path / "lengths.parquet")
    text = f'name = "mine"\ninput = {{ law = "empirical", file = "lengths.{suffix}", column = "tokens" }}\n'
    (found,) = definitions(written(tmp_path, text))

    assert found["input"] == {"law": "empirical", "values": [100, 200], "weights": [1, 2]}


def test_a_dataset_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    text = 'name = "mine"\n[dataset]\nfile = "prompts.csv"\ncolumns = {prompt = "q"}'
    (found,) = definitions(written(tmp_path, text))

    assert found["dataset"] == {
        "file": str(tmp_path.resolve() / "prompts.csv"), "sample": 10_000, "columns": {"prompt": "q"}
    }  # fmt: skip
    assert "input" not in found


# Mixes.


def test_a_mix_is_a_list_with_weights(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "mine"')
    found = definitions(f"chat=70,rag=20,{path}=10")

    assert [(one["name"], one["weight"]) for one in found] == [("chat", 70), ("rag", 20), ("mine", 10)]


def test_a_mix_may_be_a_file(tmp_path: Path) -> None:
    """Files in it are found beside it."""
    written(tmp_path, 'name = "mine"')
    found = definitions(written(tmp_path, '[mix]\nchat = 7\n"mine.toml" = 3\n', "mix.toml"))

    assert [(one["name"], one["weight"]) for one in found] == [("chat", 7), ("mine", 3)]


@pytest.mark.parametrize(
    ("spelling", "said"),
    [
        ("chta", '--workload "chta" isn\'t one of [chat, rag, summarise, code, long-context, reasoning, tools, json, '),
        ("chta", 'did you mean "chat"? (or give a .toml file)'),
        ("chat=70,rga=30", '--workload "rga" isn\'t one of'),
        ("chat,rag", '--workload "chat" isn\'t NAME=WEIGHT with a weight above 0, as in chat=70,rag=30'),
        ("chat=0,rag=30", '--workload "chat=0" isn\'t NAME=WEIGHT'),
        ("chat=-1", '--workload "chat=-1" isn\'t NAME=WEIGHT'),
        ("chat=inf,rag=1", '--workload "chat=inf" isn\'t NAME=WEIGHT'),
        ("=1", '--workload "=1" isn\'t NAME=WEIGHT'),
        ("chat=1,chat=2", "names chat twice"),
        ("chat=1000,rag=1", "--workload rag=1 is less than one request in 100; give it more weight"),
        ("nowhere.toml", "nowhere.toml: cannot be read (No such file or directory); built in are [chat"),
    ],
)
def test_a_spelling_that_is_none_is_said_in_a_line(spelling: str, said: str) -> None:
    assert said in refused(spelling)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[mix]\nchat = 1\nrga = 1\n", ': mix "rga" isn\'t one of [chat'),
        ("[mix]\nchat = 1\nrag = 0\n", ":3: mix.rag 0 isn't a number above 0"),
        ('[mix]\nchat = "1"\n', ':2: mix.chat "1" isn\'t a number'),
        ("[mix]\n", ":1: mix"),
        ("name = 'x'\ninput = 5\n[mix]\nchat = 1\n", ":2: input isn't one of [description, mix, name]"),
        ('[mix]\n"mix.toml" = 1\n', ": mix mix.toml is a mix itself; name its workloads here"),
        ('[mix]\nchat = 1\n"chat.toml" = 1\n', ': mix: two workloads have the name "chat"'),
    ],
)
def test_a_mistake_in_a_mix_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    written(tmp_path, 'name = "chat"', "chat.toml")
    path = written(tmp_path, text, "mix.toml")

    assert refused(path).startswith(f"{path}{said}")


# Mistakes in a file.


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "mine"\n', "", "1: name is missing"),
        ('name = "mine"', 'name = "a b"', '1: name "a b" isn\'t a name of letters, digits and . _ -'),
        ("distinct = 7", "distinkt = 7", "11: distinkt isn't one of [cache, cancel, conversation, dataset"),
        ("distinct = 7", "distinkt = 7", 'did you mean "distinct"?'),
        ("distinct = 7", "distinct = 0", "11: distinct 0 isn't a number above 0"),
        ("distinct = 7", 'distinct = "7"', '11: distinct "7" isn\'t a whole number'),
        ('"lognormal:400:0.5"', '"lognrmal:400:0.5"', '3: input "lognrmal:400:0.5" is no number and no law'),
        ("min = 10", "min = 30", "4: output.min 30 is above max 20"),
        ("min = 10, ", "", "4: output.min is missing; law uniform needs it"),
        ('law = "uniform"', 'law = "unifrom"', "4: output.law \"unifrom\" isn't one of [fixed, uniform, normal"),
        ("stream_share = 0.5", "stream_share = 1.5", "5: stream_share 1.5 isn't a number from 0 to 1"),
        ('["de"]', '["de", "fr"]', "6: languages[1] \"fr\" isn't one of [en, de]"),
        ('["de"]', "[]", "6: languages [] isn't an array with something in it"),
        ('"Be brief."', '""', '7: system "" isn\'t a text that is not empty'),
        ('["Count these:"]', '"Count these:"', '8: tasks "Count these:" isn\'t an array'),
        ('"prose"', '"poetry"', "9: filler \"poetry\" isn't one of [prose, code]"),
        ('"warm"', '"hot"', "10: cache \"hot\" isn't one of [cold, warm]"),
        ('"warm"', '"cold"', '11: distinct needs cache = "warm"'),
        ('filler = "prose"', 'filler = "code"', '6: languages says nothing beside filler = "code"; leave it out'),
        ("tokens = 100\n", "", "13: prefix.tokens is missing"),
        ("tokens = 100", "tokens = 390", "3: input 400 (its median) isn't at least 406 tokens: the prefix and"),
        ("tokens = 100", "token = 100", "15: prefix.token isn't one of [groups, share, tokens]"),
        ("groups = 3", "groups = -3", "16: prefix.groups -3 isn't a number above 0"),
        ("share = 0.1", "share = 0", "19: cancel.share 0 isn't a number above 0, at most 1"),
        ('"exponential:2s"', '"later"', '20: cancel.after "later" is no number and no law'),
        ('"2s"', '"-2s"', '30: conversation.think "-2s"'),
        ("[conversation]", "[conversations]", "28: conversations isn't one of"),
        ('"lognormal:400:0.5"', "10", "3: input 10 (its median) isn't at least"),
        ('name = "mine"', "name = mine", "1: "),
        ("[tools]\nshare = 0.3", "tools = 0.3", "22: cancel.tools isn't one of [after, share]"),
        ("[tools]\nshare = 0.3", "tools.share = 3", "22: cancel.tools isn't one of [after, share]"),
        ('input = "lognormal:400:0.5"', 'input = { law = "empirical", file = "no.csv", column = "x" }',
         "3: input.file "),
        ('input = "lognormal:400:0.5"', 'input = { law = "empirical", file = "no.csv" }',
         "3: input.column isn't a text; an empirical law of a file needs file and column"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_line_and_key(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in WHOLE
    path = written(tmp_path, WHOLE.replace(old, new))
    line = refused(path)

    assert line.startswith(f"{path}:")
    assert said in line.removeprefix(f"{path}:")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"tokens,x\n5,1\nmany,2\n", ':3: column tokens: value "many" isn\'t a whole number of at least 1'),
        (b"tokens\n5\n0\n", ':3: column tokens: value "0" isn\'t a whole number of at least 1'),
        (b"x\n5\n", ":1: column tokens isn't one of [x]"),
        (b"tokens\n", " has no rows"),
        (b"\xff\xfe", ":1: isn't UTF-8"),
    ],
)
def test_a_mistake_in_a_file_of_lengths_names_it(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "lengths.csv").write_bytes(content)
    path = written(tmp_path, 'name = "m"\ninput = {law = "empirical", file = "lengths.csv", column = "tokens"}')

    line = refused(path)
    assert line.startswith(f"{path}:2: input")
    assert f"{tmp_path / 'lengths.csv'}{said}" in line


@pytest.mark.parametrize(
    "line", ["input = 50", 'system = "x"', 'tasks = ["x"]', 'languages = ["en"]', 'filler = "code"', "distinct = 3",
             "prefix = { tokens = 5 }"],
)  # fmt: skip
def test_what_says_nothing_beside_a_dataset_is_refused(tmp_path: Path, line: str) -> None:
    path = written(tmp_path, f'name = "m"\n{line}\n[dataset]\nfile = "x.csv"\n')

    key = line.partition(" ")[0]
    assert refused(path) == f"{path}:2: {key} says nothing beside [dataset]: the prompts are the file's; leave it out"


def test_a_secret_in_a_spelling_is_masked() -> None:
    assert "sk-abcdefgh" not in refused("sk-abcdefgh12345678=x")
