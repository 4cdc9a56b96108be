"""The options of the mock, once: for `python -m loadtests.mock` and for the verb `firsttoken mock`."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.condition import Conditions
from loadtests.mock.front import SCENARIO_HEADER, Cast
from loadtests.mock.providers import PROVIDERS
from loadtests.mock.scenarios import SCENARIOS, TOPICS
from loadtests.mock.script import FAULTS, USAGES, Script
from loadtests.mock.serve import Settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Option:
    """
    One option: its flag, the setting it sets, the type of its value, its default and its help.

    `kind` bool is a switch without a value. `choices` () means any value. A repeatable one gives a tuple; none given
    gives the default. `metavar` is what the help calls the value where it doesn't list the choices.
    """

    flag: str
    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    is_repeatable: bool = False
    metavar: str | None = None


_USUAL: Final = Script()

SCRIPT_OPTIONS: Final = (
    Option("--seed", "seed", int, _USUAL.seed, "seed of all draws"),
    Option("--ttft", "ttft_s", float, _USUAL.ttft_s, "median time to first token of an empty prompt, in seconds"),
    Option("--ttft-sigma", "ttft_sigma", float, _USUAL.ttft_sigma, "its lognormal sigma; 0: constant"),
    Option("--gap", "gap_s", float, _USUAL.gap_s, "median time between two chunks, in seconds"),
    Option("--gap-sigma", "gap_sigma", float, _USUAL.gap_sigma, "its lognormal sigma; 0: constant"),
    Option("--output-tokens", "output_tokens", int, _USUAL.output_tokens, "mean tokens of an answer without a cap"),
    Option("--tokens-per-chunk", "tokens_per_chunk", int, _USUAL.tokens_per_chunk, "tokens in a chunk"),
    Option(
        "--prefill",
        "prefill_s_per_1k_tokens",
        float,
        _USUAL.prefill_s_per_1k_tokens,
        "seconds added to the time to first token per 1,000 prompt tokens",
    ),
    Option("--error-rate", "error_rate", float, _USUAL.error_rate, "share of requests with a fault, 0 to 1"),
    Option("--fault", "faults", str, _USUAL.faults, "a fault to draw from; repeatable", FAULTS, is_repeatable=True),
    Option("--usage", "usage", str, _USUAL.usage, "usage at the end of a stream: if asked for, always, never", USAGES),
    Option("--reasoning-tokens", "reasoning_tokens", int, _USUAL.reasoning_tokens, "tokens of reasoning first"),
    Option("--ignore-cap", "ignore_cap", bool, _USUAL.ignore_cap, "answer at full length whatever max_tokens says"),
    Option(
        "--prepared",
        "prepared",
        bool,
        _USUAL.prepared,
        "the same bytes for every request, made once, to calibrate a client; needs both sigmas 0 and no faults",
    ),
)

SERVER_OPTIONS: Final = (
    Option("--host", "host", str, "127.0.0.1", "address to listen on"),
    Option("--port", "port", int, 0, "port to listen on; 0: any free one"),
    Option("--key", "key", str, None, "answer 401 without 'Authorization: Bearer KEY'"),
    Option("--tls-cert", "tls_cert", Path, None, "serve https with this certificate (PEM); needs --tls-key"),
    Option("--tls-key", "tls_key", Path, None, "the certificate's key (PEM, not encrypted)"),
    Option("--log", "log", Path, None, "file for the truth: when each chunk was really written"),
    Option("--request-log", "request_log", Path, None, "file for what was asked, and which rules it broke: JSON lines"),
    Option("--parent-pipe", "until_eof", bool, False, "end when stdin does"),
)

CAST_OPTIONS: Final = (
    Option(
        "--provider", "provider", str, "generic", "whose paths, rules, errors and quirks are played", tuple(PROVIDERS)
    ),
    Option(
        "--scenario",
        "scenarios",
        str,
        (),
        "a scenario to draw from, by name (--list has them); repeatable; a request's own header "
        f"{SCENARIO_HEADER}: NAME or ?scenario=NAME goes first",
        is_repeatable=True,
        metavar="NAME",
    ),
    Option("--scenario-share", "scenario_share", float, 1.0, "share of requests that get one of them, 0 to 1"),
    Option(
        "--cold-session",
        "cold_session_s",
        float,
        None,
        "seconds that the first request for a model waits for its session (1); needs --provider morpheus",
    ),
)

CONDITION_OPTIONS: Final = (
    Option(
        "--freeze",
        "freezes",
        str,
        (),
        "write nothing for FOR seconds, from AT seconds after the first chat completion; what is due meanwhile "
        "goes out when they are over; repeatable",
        is_repeatable=True,
        metavar="AT:FOR",
    ),
    Option("--drift", "drift", float, 0.0, "share by which all times grow per minute", metavar="SHARE"),
    Option(
        "--drift-from", "drift_from_s", float, None, "Unix time from which they do (the mock's start)", metavar="UNIX_S"
    ),
    Option("--slots", "slots", int, None, "requests served at a time, at most; others wait in order", metavar="N"),
    Option(
        "--requests-per-minute",
        "requests_per_minute",
        float,
        None,
        "a quota: requests beyond it are answered 429, and x-ratelimit headers of every answer say what is left",
        metavar="N",
    ),
    Option(
        "--tokens-per-minute",
        "tokens_per_minute",
        float,
        None,
        "the same for tokens: the prompt's, plus the cap or --output-tokens",
        metavar="N",
    ),
    Option(
        "--quota-burst",
        "quota_burst",
        float,
        None,
        "share of a minute's quota that may come at once, one request at least (1/60: a second's)",
        metavar="SHARE",
    ),
)

OPTIONS: Final = SERVER_OPTIONS + CAST_OPTIONS + CONDITION_OPTIONS + SCRIPT_OPTIONS
_FLAGS: Final = {option.name: option.flag for option in OPTIONS}


def listing() -> Iterator[str]:
    """The providers and the scenarios, a line each."""
    yield "providers (--provider NAME)"
    yield from (f"  {name:<16} {provider.summary}" for name, provider in PROVIDERS.items())
    for topic, rows in TOPICS.items():
        yield f"\n{topic} (--scenario NAME)"
        for row in rows:
            asked = "" if row.asked == "both" else f" [{row.asked}]"
            yield f"  {row.name:<34} {row.error_kind or row.outcome:<18} {row.summary}{asked}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give an argparse parser the options; `settings_from(vars(parser.parse_args()))` makes use of them."""
    for option in OPTIONS:
        spec: dict[str, Any] = {"dest": option.name, "default": option.default, "help": f"{option.help} (%(default)s)"}
        if option.kind is bool:
            spec |= {"action": "store_true", "help": option.help}
        else:
            spec |= {"type": option.kind, "choices": option.choices or None}
            word = option.metavar or option.flag.removeprefix("--").replace("-", "_").upper()
            spec["metavar"] = word if not option.choices else None
        if option.is_repeatable:
            spec |= {"action": "append", "default": None}
            spec["help"] = f"{option.help} ({' '.join(option.default)})" if option.default else option.help
        parser.add_argument(option.flag, **spec)


def settings_from(values: Mapping[str, Any]) -> Settings:
    """
    The settings that options add up to.

    Args:
        values: By the options' names, of their types; what is missing, or None or empty for a repeatable one, is the
            default. Other keys are left alone.

    Raises:
        ValueError: A value is not allowed, or not together with another; says which option, and what is.
    """
    given = {o.name: values.get(o.name, o.default) for o in OPTIONS}
    given["faults"] = tuple(given["faults"] or _USUAL.faults)
    given["scenarios"] = tuple(given["scenarios"] or ())
    given["freezes"] = tuple(_freeze(word) for word in given["freezes"] or ())
    if not 0 <= given["port"] <= 65535:
        raise ValueError(f"--port: {given['port']} isn't a number from 0 to 65535")
    if (given["tls_cert"] is None) != (given["tls_key"] is None):
        raise ValueError("--tls-cert, --tls-key: only one is given; https needs both, http neither")
    if values.get("faults") and not given["error_rate"]:
        raise ValueError("--fault: does nothing without --error-rate F, the share of requests that get one")
    if given["key"] is not None and not given["key"].strip():
        raise ValueError("--key: is empty, and no header can carry that; leave it out to let everybody in")
    cast = _cast(given)
    try:
        script = Script(**{o.name: given[o.name] for o in SCRIPT_OPTIONS})
        conditions = Conditions(**{o.name: given[o.name] for o in CONDITION_OPTIONS})
    except ValueError as error:
        raise ValueError(_with_flag(str(error))) from None
    return Settings(script, cast=cast, conditions=conditions, **{o.name: given[o.name] for o in SERVER_OPTIONS})


def _freeze(word: str) -> tuple[float, float]:
    """Seconds after the first request, and for how many."""
    at_s, colon, for_s = word.partition(":")
    try:
        return float(at_s), float(for_s if colon else "?")
    except ValueError:
        raise ValueError(f"--freeze: {word!r} isn't AT:FOR in seconds, like 20:2") from None


def _with_flag(problem: str) -> str:
    """A script's complaint about a setting, as one about the option."""
    name, colon, rest = problem.partition(":")
    return f"{_FLAGS.get(name, name)}{colon}{rest.replace('prepared answers need', '--prepared needs')}"


def _cast(given: Mapping[str, Any]) -> Cast:
    """Who plays what, if it goes together."""
    provider, names, cold_s = PROVIDERS[given["provider"]], given["scenarios"], given["cold_session_s"]
    if unknown := [name for name in names if name not in SCENARIOS]:
        raise ValueError(f"--scenario: {unknown[0]!r} isn't one{_nearest(unknown[0])}; --list has them all")
    if not 0 <= given["scenario_share"] <= 1:
        raise ValueError(f"--scenario-share: {given['scenario_share']!r} isn't a share from 0 to 1")
    if given["scenario_share"] != 1 and not names:
        raise ValueError("--scenario-share: does nothing without --scenario NAME")
    if cold_s is not None and not provider.has_sessions:
        raise ValueError(f"--cold-session: {provider.name} has no sessions; it needs --provider morpheus")
    if cold_s is not None and not 0 <= cold_s < float("inf"):
        raise ValueError(f"--cold-session: {cold_s!r} isn't a number of seconds >= 0")
    if given["prepared"] and (given["requests_per_minute"] or given["tokens_per_minute"]):
        raise ValueError("--prepared: its answers are all the same bytes, so it can't go with a quota")
    if given["prepared"] and (names or provider.name != "generic"):
        other = "--scenario" if names else f"--provider {provider.name}"
        raise ValueError(f"--prepared: its answers are all the same bytes, so it can't go with {other}")
    return Cast(provider, names, given["scenario_share"], Cast().cold_session_s if cold_s is None else cold_s)


def _nearest(name: str) -> str:
    near = get_close_matches(name, SCENARIOS, n=1)
    return f"; did you mean {near[0]}?" if near else ""
