"""The Containerfile and compose.yaml, held against the command line that they call; no daemon is needed."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

import click
import pytest
from commands import HOME

from loadtests import profiles
from loadtests.cli import group
from loadtests.targets import profile_of

# Comes with the extra test: huggingface-hub, under tokenizers, needs it.
SERVICES: Final[dict[str, dict[str, Any]]] = pytest.importorskip("yaml").safe_load((HOME / "compose.yaml").read_text())[
    "services"
]
LINES: Final = (HOME / "Containerfile").read_text().replace("\\\n", " ").splitlines()


def options(service: str) -> dict[str, Any]:
    """What the command line makes of a service's command, without doing it."""
    verb, *words = SERVICES[service]["command"]
    command = group.get_command(click.Context(group), verb)
    assert command is not None, verb
    return command.make_context(verb, list(words)).params


def steps(word: str) -> list[str]:
    """The Containerfile's instructions of one kind, without that word."""
    return [line.partition(" ")[2].strip() for line in LINES if line.startswith(f"{word} ")]


def test_the_provider_listens_where_the_master_asks() -> None:
    provider = options("provider")
    (base_url,) = (word.partition("=")[2] for word in SERVICES["master"]["command"] if word.startswith("--base-url="))

    assert (urlsplit(base_url).hostname, urlsplit(base_url).port) == ("provider", provider["port"])
    assert provider["host"] == "0.0.0.0"
    assert f"http://127.0.0.1:{provider['port']}/v1/models" in SERVICES["provider"]["healthcheck"]["test"][-1]
    assert profile_of("vllm", base_url).base_url == base_url  # plain http to a neighbour is no danger


def test_the_master_waits_for_as_many_workers_as_there_are() -> None:
    master, worker = options("master"), options("worker")

    assert master["profiles"] == ("vllm",)
    assert master["expect_workers"] == SERVICES["worker"]["deploy"]["replicas"] == 2
    assert worker["master"] == ("master", 5558)
    assert master["bind"] == ("0.0.0.0", 5558)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_room_for_its_connections_and_little_else(service: str) -> None:
    about = SERVICES[service]

    assert about["ulimits"]["nofile"]["hard"] >= 65536
    assert (about["cap_drop"], about["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert all(str(port).startswith("127.0.0.1:") for port in about.get("ports", ()))


def test_keys_come_from_the_environment_of_the_workers_alone() -> None:
    """A name without a value is handed on; with one, a key would stand in the file."""
    env = profiles.load("vllm").auth.env

    assert SERVICES["worker"]["environment"] == [env]
    assert not any(
        "environment" in about or "env_file" in about for name, about in SERVICES.items() if name != "worker"
    )


def test_results_outlive_their_container() -> None:
    workdir = steps("WORKDIR")[-1]

    assert SERVICES["master"]["volumes"] == [f"results:{workdir}/results"]
    assert f"{workdir}/results" in next(step for step in steps("RUN") if "useradd" in step)


def test_the_image_is_built_from_constraints_and_runs_as_nobody_special() -> None:
    (pinned,) = (step for step in steps("RUN") if "-r constraints.txt" in step)

    assert "--require-hashes" in pinned
    others = [word for step in steps("RUN") for word in re.findall(r"pip (?:install|wheel).*?(?=&&|$)", step)]
    assert all("--no-index" in word for word in others if word not in pinned)
    assert steps("USER") == ["firsttoken"]
    assert steps("ENTRYPOINT") == ['["firsttoken"]']
    assert {step.split()[0] for step in steps("FROM")} == {"python:3.11-slim"}  # no registry's name


def test_what_is_copied_is_there_and_let_through() -> None:
    through = {line[1:] for line in (HOME / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for step in steps("COPY") if not step.startswith("--") for name in step.split()[:-1]}

    assert copied == through
    assert all((HOME / name).exists() for name in copied)
