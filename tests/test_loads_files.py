"""Traces, datasets and their mistakes through the whole command: what a file says is what is asked, and when."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from commands import Listener, about, ask, in_turn, rows

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Server

WHOLE = ("--no-stream",)


def text_of(body: dict[str, Any]) -> str:
    return "".join(message["content"] for message in body["messages"])


@pytest.mark.slow
def test_a_trace_in_mooncakes_layout(tmp_path: Path, serve: Callable[..., Server]) -> None:
    """
    Milliseconds, five times as fast; equal block ids are equal text of 512 tokens, 4 characters each.

    The first and the third prompt share blocks 0 and 1, so 4,096 characters, and no more.
    """
    lines = [
        {"timestamp": 0, "input_length": 1700, "output_length": 52, "hash_ids": [0, 1, 2, 3]},
        {"timestamp": 0, "input_length": 900, "output_length": 26, "hash_ids": [46, 47]},
        {"timestamp": 3052, "input_length": 1250, "output_length": 12, "hash_ids": [0, 1, 48]},
    ]
    (tmp_path / "trace.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    heard = Listener(serve)
    ask(heard.base_url, *WHOLE, "--arrivals", "trace:trace.jsonl", "--trace-speed", "5", cwd=tmp_path)
    found = rows(tmp_path)
    texts = {body["max_tokens"]: text_of(body) for body in heard.asked}

    assert found["scheduled_ns"].tolist() == [0, 0, 610_400_000]
    assert found["output_cap"].tolist() == [52, 26, 12]
    assert found["input_chars"].tolist() == pytest.approx([4 * 1700, 4 * 900, 4 * 1250], rel=0.05)
    assert [len(texts[cap]) for cap in found["output_cap"]] == found["input_chars"].tolist()
    assert texts[52][:4096] == texts[12][:4096]
    assert texts[52][4096:4200] != texts[12][4096:4200]
    assert texts[52][:2048] != texts[26][:2048]


@pytest.mark.slow
def test_a_trace_in_azures_layout_from_its_second_second_on(tmp_path: Path, serve: Callable[..., Server]) -> None:
    """Dates with seven digits. The second row is 2 s behind the first; from there on a fifth of the time."""
    (tmp_path / "code.csv").write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:17:03.9799600,480,10\n"
        "2023-11-16 18:17:05.9799600,318,8\n"
        "2023-11-16 18:17:07.2319601,110,27\n"
    )
    heard = Listener(serve)
    words = ("--arrivals", "trace:code.csv", "--trace-start", "2s", "--trace-speed", "5")
    ask(heard.base_url, *WHOLE, *words, cwd=tmp_path)
    found = rows(tmp_path)

    assert found["scheduled_ns"].tolist() == [0, 250_400_020]
    assert found["output_cap"].tolist() == [8, 27]
    assert sorted(body["max_tokens"] for body in heard.asked) == [8, 27]
    assert found["input_chars"].tolist() == pytest.approx([4 * 318, 4 * 110], rel=0.05)


@pytest.mark.slow
def test_a_trace_in_burstgpts_layout_without_its_failures(tmp_path: Path, serve: Callable[..., Server]) -> None:
    """Seconds, a hundred times as fast; without response tokens a request failed and is left out."""
    (tmp_path / "burst.csv").write_text(
        "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,s1,1.5,ChatGPT,472,18,490,Conversation log\n"
        "45,s1,0.0,ChatGPT,1087,0,1087,Conversation log\n"
        "118.5,,9.5,GPT-4,417,276,693,API log\n"
    )
    heard = Listener(serve)
    ask(heard.base_url, *WHOLE, "--arrivals", "trace:burst.csv", "--trace-speed", "100", cwd=tmp_path)
    found = rows(tmp_path)

    assert found["scheduled_ns"].tolist() == [0, 1_135_000_000]
    assert found["output_cap"].tolist() == [18, 276]
    assert sorted(body["max_tokens"] for body in heard.asked) == [18, 276]


TALKS = [
    {"id": f"x{i}_0", "conversations": [
        {"from": "human", "value": f"Frage {i}: what is {i} times {i}? ✓"}, {"from": "gpt", "value": "It. " * (i + 1)},
        {"from": "human", "value": "And the next one?"}, {"from": "gpt", "value": "More."},
    ]}
    for i in range(12)
]  # fmt: skip


@pytest.mark.slow
def test_a_dataset_in_sharegpts_layout(tmp_path: Path, serve: Callable[..., Server]) -> None:
    """24 requests ask each of its 12 first questions twice, behind a nonce each time; answers are not asked."""
    (tmp_path / "talks.json").write_text(json.dumps(TALKS))
    (tmp_path / "mine.toml").write_text('name = "mine"\n[dataset]\nfile = "talks.json"\n')
    heard = Listener(serve)
    words = ("--workload", "mine.toml", "--rate", "40", "--requests", "24", "--duration", "9s")
    ask(heard.base_url, *WHOLE, *words, cwd=tmp_path)
    found = rows(tmp_path)
    asked = [text_of(body) for body in heard.asked]

    assert len(set(asked)) == 24
    for talk in TALKS:
        question = talk["conversations"][0]["value"]  # type: ignore[index]
        assert sum(text.endswith(question) for text in asked) == 2
    assert set(found["workload"]) == {"mine"}
    assert found["prompt_hash"].value_counts().tolist() == [2] * 12
    assert "talks.json" not in json.dumps(about(tmp_path)["plan"]["arrivals"])
    assert all(len(body["messages"]) == 1 for body in heard.asked)


# Mistakes.

GOOD_STAGE = '[[stage]]\nrate = 8\nduration = "1s"\n'
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,480,10\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,API log\n"
MOONCAKE = '{"timestamp": 0, "input_length": 1700, "output_length": 52, "hash_ids": [0]}\n'
DATASET = 'name = "x"\n[dataset]\nfile = "data.%s"\n%s'

WORKLOADS = {
    'name = "x"\ninputt = 400\n': ["w.toml:2:", "inputt", "input"],
    'name = "x"\ninput = "lognormal:0:1"\n': ["w.toml:2:", "input"],
    'name = "x"\n[prefix]\nshare = 1.5\ntokens = 9\n': ["w.toml:3:", "share", "1"],
    'name = "x"\n[conversation]\nturns = "often"\n': ["w.toml:3:", "turns", "often"],
    'name = "x"\n[cancel]\nshare = 0.1\nafter = "soon"\n': ["w.toml:4:", "after", "soon"],
    'name = "x"\noutput = {law = "uniform", min = 9, max = 3}\n': ["w.toml:2:", "output"],
    "name = x\n": ["w.toml:1:"],
    "input = 5\n": ["w.toml:1:", "name"],
    DATASET % ("txt", ""): ["data.txt"],
}
STAGES = {
    GOOD_STAGE + '[[stage]]\nrat = 8\nduration = "1s"\n': ["s.toml:5:", "rat", "rate"],
    GOOD_STAGE + '[[stage]]\nrate = [1, 2, 3]\nduration = "1s"\n': ["s.toml:5:", "rate", "[2, 20]"],
    GOOD_STAGE + '[[stage]]\nrate = 3\nduration = "soon"\n': ["s.toml:6:", "duration", "soon"],
    GOOD_STAGE + '[[stage]]\nconcurrency = 3\nduration = "1s"\n': ["s.toml:5:", "concurrency"],
    "[[stage]]\nrate = -1\nduration = 5\n": ["s.toml:2:", "rate", "-1"],
    "[[stage]]\nburst = 0\n": ["s.toml:2:", "burst"],
    "rate = 8\n": ["s.toml:1:", "rate", "stage"],
    "[[stage]\n": ["s.toml:1:"],
}
TRACES = {
    AZURE + "2023-11-16 18:17:04,many,10\n": ["t.csv:3:", "ContextTokens", "many"],
    AZURE + "yesterday,480,10\n": ["t.csv:3:", "TIMESTAMP", "yesterday"],
    BURST + "6,ChatGPT,472,-1,490,API log\n": ["t.csv:3:", "Response tokens", "-1"],
    BURST + "6,ChatGPT,472\n": ["t.csv:3:"],
    BURST + "1e30,ChatGPT,472,18,490,API log\n": ["t.csv:3:", "Timestamp", "1e30"],
    MOONCAKE + '{"timestamp": "x", "input_length": 1, "output_length": 5, "hash_ids": []}\n': ["t.csv:2:", "timestamp"],
    MOONCAKE + '{"timestamp": 9, "input_length": 1, "output_length": 5, "hash_ids": "a"}\n': ["t.csv:2:", "hash_ids"],
    MOONCAKE + '{"timestamp": 9,\n': ["t.csv:2:"],
    "when,tokens\n1,2\n": ["t.csv", "when"],
    "": ["t.csv"],
}
DATASETS = {
    (".json", "", '[{"id": 1, "conversations": 5}]'): ["data.json: element 1", "conversations"],
    (".json", "", '[{"id": 1, "conversations": [{"from": "human"}]}]'): ["data.json: has no prompt in any of"],
    (".jsonl", 'columns = {prompt = "q"}\n', '{"q": "a"}\n{"q": 5}\n'): ["data.jsonl:2", "q"],
    (".jsonl", 'columns = {prompt = "q"}\n', '{"q": "a"}\n{"q"\n'): ["data.jsonl:2"],
    (".csv", 'columns = {prompt = "q"}\n', "a,b\n1,2\n"): ["data.csv:1", "q"],
    (".csv", 'columns = {prompt = "q"}\n', "q,b\n1\n"): ["data.csv:2"],
    (".csv", 'columns = {promt = "q"}\n', "q,b\n1,2\n"): ["w.toml:4", "promt", "prompt"],
    (".csv", "sample = 0\n", "q,b\n1,2\n"): ["w.toml:4", "sample"],
}  # fmt: skip

Mistake = tuple[dict[str, str], tuple[str, ...], list[str]]
MISTAKES: list[Mistake] = [
    *(({"w.toml": text}, ("--workload", "{}/w.toml"), says) for text, says in WORKLOADS.items()),
    *(({"s.toml": text}, ("--stages", "{}/s.toml"), says) for text, says in STAGES.items()),
    *(({"t.csv": text}, ("--arrivals", "trace:{}/t.csv"), says) for text, says in TRACES.items()),
    *(
        ({"w.toml": DATASET % (end[1:], more), f"data{end}": text}, ("--workload", "{}/w.toml"), says)
        for (end, more, text), says in DATASETS.items()
    ),
    ({}, ("--workload", "{}/none.toml"), ["none.toml"]),
    ({}, ("--stages", "{}/none.toml"), ["none.toml"]),
    ({}, ("--arrivals", "trace:{}/none.csv"), ["none.csv"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[subprocess.CompletedProcess[str]]]:
    """What each of them ends in; nothing listens where they would be sent."""
    home = tmp_path_factory.mktemp("mistakes")
    lines = []
    for number, (files, options, _) in enumerate(MISTAKES):
        (home / str(number)).mkdir()
        for name, text in files.items():
            (home / str(number) / name).write_text(text)
        words = [word.replace("{}", str(number)) for word in options]
        lines.append(["run", "--profile", "vllm", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", *words])
    return home, in_turn(lines, home)


@pytest.mark.parametrize("number", range(len(MISTAKES)))
def test_a_mistake_in_a_file_is_one_line_that_says_where(refused: Any, number: int) -> None:
    home, done = refused
    end, (_, _, says) = done[number], MISTAKES[number]

    assert end.returncode == 2, end.stderr
    (line,) = end.stderr.splitlines()
    assert line.startswith("firsttoken: ")
    assert f"{number}/" in line
    for part in says:
        assert part in line
    assert end.stdout == ""
    assert not (home / "results").exists()
