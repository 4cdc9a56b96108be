"""
What is asked: synthetic chat in English and German, a pure function of a seed and a place in the schedule.

No file, no clock, no state: any worker can make any request, and two machines make the same one. Every prompt opens
with a nonce, so that no prefix cache answers; its length and the cap on the answer are lognormal, as real chat is
roughly. The sentences are templates with slots, neutral, without a person in them.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from math import exp, log
from statistics import NormalDist
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from loadtests.formats import SCHEMA, TOOLS
from loadtests.phrases import ENGLISH, GERMAN, Phrases
from loadtests.units import not_one_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

CHARS_PER_TOKEN: Final = 4
"""Roughly, for Latin text; only the drawn lengths rest on it."""

BLOCK: Final = 10
"""Streamed and plain requests are mixed in blocks of so many seqs, with the exact share in each."""

_NORMAL: Final = NormalDist()


class WorkloadError(ValueError):
    """A workload that does not exist or cannot be made; its text is one line: bad value and allowed ones."""


@dataclass(frozen=True, slots=True)
class Request:
    """
    One request before any provider is known: messages as role and content, and what is wanted back.

    Attributes:
        extra: Body fields of this request alone, such as `tools` or `response_format`; they win over the run's.
    """

    seq: int
    workload: str
    messages: tuple[dict[str, Any], ...]
    stream: bool
    output_cap: int | None
    prompt_hash: int
    input_chars: int
    extra: Mapping[str, Any] = field(default_factory=dict)


class Workload(Protocol):
    """Anything that makes requests from their place in the schedule."""

    @property
    def name(self) -> str:
        """Its name in the rows and in --workload."""

    @property
    def extra(self) -> Mapping[str, Any]:
        """Body fields of every request beside its messages."""

    def request(self, seq: int) -> Request:
        """The request at a place in the schedule."""

    def streams(self, seq: int) -> bool:
        """Whether that request is streamed."""

    def digest(self, n: int) -> str:
        """A hash of the first n prompts, in hex."""


@dataclass(frozen=True, slots=True)
class Lognormal:
    """A lognormal number of tokens, cut off at both ends: exp(log(median) + sigma * z), z standard normal."""

    median: float
    sigma: float
    least: int
    most: int

    def at(self, u: float) -> int:
        """The quantile at 0 < u < 1."""
        return max(self.least, min(self.most, round(exp(log(self.median) + self.sigma * _NORMAL.inv_cdf(u)))))


PROMPT_TOKENS: Final = Lognormal(120, 0.8, 16, 2000)
NONCE_CHARS: Final = 12
OUTPUT_TOKENS: Final = Lognormal(64, 0.6, 16, 256)


class Chat:
    """
    Synthetic chat: a short system message and one user message, half English, half German.

    Attributes:
        extra: Body fields of every request beside its messages.

    Args:
        seed: Another seed gives other prompts and other nonces.
        stream_share: Share of streamed requests, 0 to 1; kept in every block of `BLOCK` seqs, shuffled inside.
        output_tokens: The cap of every answer; None: drawn from `OUTPUT_TOKENS`.
        salt: Of the nonces alone: another run of the same seed asks the same, and no cache knows it already.
        without: Body fields to leave out of `extra`, since the run says them itself.

    Raises:
        WorkloadError: A share outside [0, 1] or a cap below 1.
    """

    name = "chat"
    extra: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self, seed: int, stream_share: float = 1.0, output_tokens: int | None = None, salt: str = "",
        without: Iterable[str] = (),
    ) -> None:  # fmt: skip
        if not 0 <= stream_share <= 1:
            raise WorkloadError(f"--stream-share {stream_share} isn't a number in [0, 1]")
        if output_tokens is not None and output_tokens < 1:
            raise WorkloadError(f"--output-tokens {output_tokens} isn't a whole number of at least 1")
        self.seed = seed
        self.salt = salt
        self.output_tokens = output_tokens
        left_out = set(without)
        self.extra = MappingProxyType({key: value for key, value in self.extra.items() if key not in left_out})
        self._share_ppm = round(stream_share * 1_000_000)

    def request(self, seq: int) -> Request:
        """The request at a place in the schedule; the same on every machine and in every process."""
        draw = _draw(f"request {self.seed} {seq}")
        state, language, u_prompt, u_output = struct.unpack_from("<QQQQ", draw, 8)
        nonce = _draw(f"nonce {self.salt} {self.seed} {seq}").hex()[:NONCE_CHARS]
        messages = _messages(nonce, state, language, CHARS_PER_TOKEN * PROMPT_TOKENS.at(_unit(u_prompt)))
        cap = OUTPUT_TOKENS.at(_unit(u_output)) if self.output_tokens is None else self.output_tokens
        chars = sum(len(message["content"]) for message in messages)
        hashed = prompt_hash(messages, NONCE_CHARS)
        return Request(seq, self.name, messages, self.streams(seq), cap, hashed, chars, self.extra)

    def streams(self, seq: int) -> bool:
        """
        Whether the request at this place is streamed.

        Block b streams floor((b + 1) * BLOCK * share) - floor(b * BLOCK * share) of its requests: those whose place
        comes first in the order i -> (a * i + c) mod BLOCK, with a (no common divisor with BLOCK) and c drawn per
        block. A fixed pattern would send all plain requests to the same worker when workers take every n-th seq.
        """
        if self._share_ppm in (0, 1_000_000):
            return self._share_ppm > 0
        block, place = divmod(seq, BLOCK)
        before, after = (b * BLOCK * self._share_ppm // 1_000_000 for b in (block, block + 1))
        draw = _draw(f"stream {self.seed} {block}")
        return ((1, 3, 7, 9)[draw[0] % 4] * place + draw[1]) % BLOCK < after - before

    def digest(self, n: int) -> str:
        """The sha256 of the prompt hashes of seqs 0 to n - 1, in hex: the prompt set, for the manifest."""
        total = hashlib.sha256()
        for seq in range(n):
            total.update(struct.pack("<q", self.request(seq).prompt_hash))
        return total.hexdigest()


class Tools(Chat):
    """The same chat with functions that the model may call."""

    name = "tools"
    extra = MappingProxyType(TOOLS)


class Structured(Chat):
    """The same chat, answered as JSON that fits a schema."""

    name = "json"
    extra = MappingProxyType(SCHEMA)


WORKLOADS: Final[dict[str, Callable[..., Workload]]] = {work.name: work for work in (Chat, Tools, Structured)}
"""Values of --workload: name to factory(seed, stream_share, output_tokens, salt, without)."""


def load(name: str) -> Callable[..., Workload]:
    """
    The factory of a workload.

    Raises:
        WorkloadError: There is none of this name.
    """
    if name in WORKLOADS:
        return WORKLOADS[name]
    raise WorkloadError(f'--workload "{name}" {not_one_of(name, WORKLOADS)}')


def prompt_hash(messages: tuple[dict[str, Any], ...], skip_chars: int = 0) -> int:
    """
    A signed 64-bit hash of the messages, the same in every process (Python's own hash is not).

    Args:
        messages: Role and content; content that is no text counts by its repr.
        skip_chars: How much of the front is a nonce, and no part of what is asked.
    """
    text = "\0".join(str(part) for message in messages for part in (message.get("content"), message.get("role")))
    text = text[skip_chars:]
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


# Drawing. A numpy Generator costs 15 us to make, a hash 1 us; and a hash gives the same bytes everywhere.


def _draw(label: str) -> bytes:
    return hashlib.blake2b(label.encode(), digest_size=40).digest()


def _unit(word: int) -> float:
    """A 64-bit word as a number strictly between 0 and 1; 52 bits, so that the half below is exact."""
    return ((word >> 12) + 0.5) / 2**52


# Text, from the sentences of `phrases`.


@cache
def _passages(phrases: Phrases) -> tuple[str, ...]:
    """Runs of four sentences; every template with a spread of slot values (a step coprime to the lists meets all)."""
    slots = list(product(phrases.places, phrases.times, phrases.things))[::11]
    sentences = [
        template.format(place=place, time=time, thing=thing, n=2 + (17 * i + 5 * k) % 58)
        for k, _ in enumerate(slots)
        for i, template in enumerate(phrases.templates)
        for place, time, thing in (slots[(k + i) % len(slots)],)
    ]
    return tuple(" ".join((sentences + sentences[:3])[i : i + 4]) for i in range(len(sentences)))


def _messages(nonce: str, state: int, language: int, chars: int) -> tuple[dict[str, str], ...]:
    """A system and a user message of exactly so many characters together."""
    phrases = (ENGLISH, GERMAN)[language & 1]
    passages = _passages(phrases)
    system = f"{nonce} {phrases.system}"
    room = chars - len(system) - 1
    parts = [phrases.tasks[state % len(phrases.tasks)]]
    length = len(parts[0])
    while length < room:
        # Knuth's MMIX generator; its high bits are the good ones.
        state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        parts.append(passages[(state >> 33) % len(passages)])
        length += 1 + len(parts[-1])
    user = " ".join(parts)[:room] + "."
    return {"role": "system", "content": system}, {"role": "user", "content": user}
