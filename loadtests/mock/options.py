"""The options of the mock, once: for `python -m loadtests.mock` and for the verb `firsttoken mock`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.script import FAULTS, USAGES, Script
from loadtests.mock.serve import Settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Option:
    """
    One option: its flag, the setting it sets, the type of its value, its default and its help.

    `kind` bool is a switch without a value. `choices` () means any value. A repeatable one gives a tuple; none given
    gives the default.
    """

    flag: str
    name: str
    kind: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    is_repeatable: bool = False


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
    Option("--parent-pipe", "until_eof", bool, False, "end when stdin does"),
)

OPTIONS: Final = SERVER_OPTIONS + SCRIPT_OPTIONS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give an argparse parser the options; `settings_from(vars(parser.parse_args()))` makes use of them."""
    for option in OPTIONS:
        spec: dict[str, Any] = {"dest": option.name, "default": option.default, "help": f"{option.help} (%(default)s)"}
        if option.kind is bool:
            spec |= {"action": "store_true", "help": option.help}
        else:
            spec |= {"type": option.kind, "choices": option.choices or None}
            spec["metavar"] = option.flag.removeprefix("--").replace("-", "_").upper() if not option.choices else None
        if option.is_repeatable:
            spec |= {"action": "append", "default": None}
            spec["help"] = f"{option.help} ({' '.join(option.default)})"
        parser.add_argument(option.flag, **spec)


def settings_from(values: Mapping[str, Any]) -> Settings:
    """
    The settings that options add up to.

    Args:
        values: By the options' names, of their types; what is missing, or None or empty for a repeatable one, is the
            default. Other keys are left alone.

    Raises:
        ValueError: A value is not allowed; says which, and what is.
    """
    given = {o.name: values.get(o.name, o.default) for o in OPTIONS}
    given["faults"] = tuple(given["faults"] or _USUAL.faults)
    if not 0 <= given["port"] <= 65535:
        raise ValueError(f"port: {given['port']} isn't a number from 0 to 65535")
    if (given["tls_cert"] is None) != (given["tls_key"] is None):
        raise ValueError("tls_cert, tls_key: only one of them is given; https needs both, http neither")
    script = Script(**{o.name: given[o.name] for o in SCRIPT_OPTIONS})
    return Settings(script, **{o.name: given[o.name] for o in SERVER_OPTIONS})
