"""Synthetic prompts of one workload: a system and a user message, a pure function of a seed and an arrival."""

from __future__ import annotations

import struct
from functools import lru_cache
from statistics import mode
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from loadtests.draws import Law, draw, drawn, unit
from loadtests.workload.definition import LEAST_INPUT
from loadtests.workload.request import prompt_hash
from loadtests.workload.shares import Share
from loadtests.workload.text import Ruler, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from loadtests.schedule import Size
    from loadtests.workload.definition import Definition

NONCE_CHARS: Final = 12
BLOCK_TOKENS: Final = 512
"""Tokens of one block of a trace's prompts."""

LEAST_QUESTION: Final = 4
"""Tokens of a user message behind a system message or a prefix that takes all the room there is."""

_NONCES_SEEN: Final = 20
_KEPT_PREFIXES: Final = 64
_KEPT_BLOCKS: Final = 4096


Messages: TypeAlias = "tuple[dict[str, Any], ...]"


class Asked(NamedTuple):
    """What one request asks: messages, their hash, the cap on the answer (None: the provider's), body fields."""

    messages: Messages
    prompt_hash: int
    cap: int | None
    extra: Mapping[str, Any] = MappingProxyType({})


class Opening(NamedTuple):
    """A text that prompts open with, and its size without a nonce before it."""

    text: str
    size: int


def _nonces(digits: str) -> Iterator[str]:
    """The nonces that 80 hexadecimal digits have in them."""
    return (digits[i : i + NONCE_CHARS] for i in range(0, len(digits) - NONCE_CHARS + 1, NONCE_CHARS))


def _usual_size(ruler: Ruler) -> int:
    """The size that most nonces have."""
    return mode(ruler.of(nonce) for i in range(_NONCES_SEEN) for nonce in _nonces(draw(f"usual {i}").hex()))


class Prompts:
    """
    The prompts of a definition without a dataset.

    Args:
        known: The definition, settled.
        seed: Another seed gives other prompts and other nonces.
        salt: Of the nonces alone: another run of the same seed asks the same, and no cache knows it already.
        ruler: What lengths are measured by.
    """

    extra: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, known: Definition, seed: int | str, salt: str, ruler: Ruler) -> None:
        assert known.input is not None
        assert known.output is not None
        self._known, self._seed, self._salt, self._ruler = known, seed, salt, ruler
        self._input: Law = known.input
        self._output: Law = known.output
        kinds = ("code",) if known.filler == "code" else known.languages or ("en",)
        self._writers = [Writer(kind, ruler) for kind in kinds]
        self._systems = [self._behind(known.system or writer.phrases.system) for writer in self._writers]
        self._tasks = [
            [Opening(task, ruler.of(task)) for task in known.tasks or writer.phrases.tasks] for writer in self._writers
        ]
        self._cold = known.cache == "cold"
        self._nonce_size = _usual_size(ruler) if self._cold else 0
        self._dot, self._space = ruler.of("."), ruler.of(" a") - ruler.of("a")
        self._prefixed = Share("prefix", seed, known.prefix.share if known.prefix else 0.0)
        self._prefix = lru_cache(_KEPT_PREFIXES)(self._new_prefix)
        self._block = lru_cache(_KEPT_BLOCKS)(self._new_block)

    def turns(self, a: int) -> int:  # noqa: ARG002 - a dataset's depend on it
        """How many turns there is something to say for: no end to it here."""
        return 1 << 30

    def first(self, a: int, size: Size | None) -> Asked:
        """What an arrival's first request asks."""
        index = a % self._known.distinct if self._known.distinct is not None else a
        state, language, u_prompt, u_output = struct.unpack_from("<QQQQ", draw(f"request {self._seed} {index}"), 8)
        told = size.input_tokens if size is not None else None
        tokens = int(self._input.at(unit(u_prompt))) if told is None else max(LEAST_INPUT, told)
        cap = int(self._output.at(unit(u_output)))
        kind = language % len(self._writers)
        if size is not None and size.blocks:
            messages, nonces = self._of_blocks(tokens, size.blocks)
        elif self._prefixed.holds(index):
            messages, nonces = self._behind_prefix(a, index, state, tokens)
        else:
            front, system = self._nonce(f"{self._salt} {self._seed} {a}"), self._systems[kind]
            messages, nonces = self._messages(kind, front, system, state, tokens), (front,)
        return Asked(messages, prompt_hash(messages, nonces), cap)

    def later(self, a: int, turn: int, history: Sequence[dict[str, Any]]) -> Asked:
        """What a later turn of a conversation asks, behind its history."""
        assert self._known.conversation is not None
        assert self._known.conversation.input is not None
        (language,) = struct.unpack_from("<Q", draw(f"request {self._seed} {a}"), 16)
        state, u_prompt, u_output = struct.unpack_from("<QQQ", draw(f"turn {self._seed} {a} {turn}"))
        kind = language % len(self._writers)
        tokens = int(self._known.conversation.input.at(unit(u_prompt)))
        message = {"role": "user", "content": self._user(kind, "", state, self._ruler.room(tokens))}
        return Asked((*history, message), prompt_hash((message,)), int(self._output.at(unit(u_output))))

    def words(self, told: Size | None = None) -> list[str]:
        """Its lengths, for people; those of prompts by the medians of a trace that tells them."""
        how, median = self._ruler.words(), None if told is None else told.input_tokens
        long = f"{self._input.words()} tokens" if median is None else f"by the trace, median {median:,} tokens"
        lines = [f"prompts {long} ({how})", f"answers at most {self._output.words()} tokens"]
        if (prefix := self._known.prefix) is not None:
            of = "one group" if prefix.groups == 1 else f"{prefix.groups} groups"
            lines.append(f"{prefix.share:.0%} begin with {prefix.tokens} tokens of their group, {of} ({how})")
        if not self._cold:
            many = f", {self._known.distinct} different ones" if self._known.distinct else ""
            lines.append(f"prompts are the same in every run, so that caches may know them{many}")
        return lines

    # Openings.

    def _nonce(self, label: str) -> str:
        """
        The nonce of a label; empty where caches are warm.

        By a tokenizer all have the same size, or nearly, so that the text behind does not depend on the run's salt: the
        first of six that has it.
        """
        if not self._cold:
            return ""
        digits = draw(f"nonce {label}").hex()
        if self._ruler.count is None:
            return digits[:NONCE_CHARS]
        return min(_nonces(digits), key=lambda nonce: abs(self._ruler.of(nonce) - self._nonce_size))

    def _behind(self, text: str) -> Opening:
        """A text as it stands behind a nonce; alone where there is none."""
        behind = f" {text}" if self._known.cache == "cold" else text
        return Opening(behind, self._ruler.of(behind))

    def _new_prefix(self, group: int) -> tuple[int, Opening]:
        """The language of a group, and its prefix: system message and passages, the nonce counted in."""
        assert self._known.prefix is not None
        language, state = struct.unpack_from("<QQ", draw(f"prefix group {self._seed} {group}"))
        kind = language % len(self._writers)
        system = self._systems[kind]
        room = max(system.size, self._ruler.room(self._known.prefix.tokens) - self._nonce_size)
        text = self._writers[kind].text(system.text, system.size, state, room)
        return kind, Opening(text, room)

    def _group_nonce(self, group: int) -> str:
        return self._nonce(f"of group {self._salt} {self._seed} {group}")

    # Messages.

    def _behind_prefix(self, a: int, index: int, state: int, tokens: int) -> tuple[Messages, tuple[str, ...]]:
        """The group's nonce and prefix, then the request's own nonce."""
        assert self._known.prefix is not None
        group = int(self._known.prefix.groups * drawn(f"group {self._seed} {index}"))
        kind, prefix = self._prefix(group)
        front, own = self._group_nonce(group), self._nonce(f"{self._salt} {self._seed} {a}")
        return self._messages(kind, front, prefix, state, tokens, own), (front, own)

    def _messages(
        self, kind: int, nonce: str, system: Opening, state: int, tokens: int, own: str = ""
    ) -> Messages:  # fmt: skip
        """A system message behind a nonce, a user message behind its own if any, so many tokens together."""
        room = self._ruler.room(tokens) - system.size - self._nonce_size
        user = self._user(kind, own, state, max(room, self._ruler.room(LEAST_QUESTION)))
        return {"role": "system", "content": nonce + system.text}, {"role": "user", "content": user}

    def _user(self, kind: int, nonce: str, state: int, room: int) -> str:
        """A task and passages behind it, a dot at the end; behind a nonce if there is one."""
        tasks = self._tasks[kind]
        task = tasks[state % len(tasks)]
        if nonce:
            task = Opening(f"{nonce} {task.text}", self._nonce_size + self._space + task.size)
        return self._writers[kind].text(*task, state, max(room - self._dot, 1)) + "."

    # A trace's prompts.

    def _of_blocks(self, tokens: int, blocks: Sequence[int]) -> tuple[Messages, tuple[str, ...]]:
        """One nonce for the whole run: equal blocks are equal text in it, and no earlier run's cache knows them."""
        nonce, system = self._nonce(f"of run {self._salt} {self._seed}"), self._systems[0]
        room = max(1, self._ruler.room(tokens) - system.size - self._nonce_size - self._dot)
        whole = min(len(blocks) - 1, room // self._ruler.room(BLOCK_TOKENS))
        rest = room - whole * self._ruler.room(BLOCK_TOKENS)
        text = "".join([*map(self._block, blocks[:whole]), self._of_block(blocks[whole], rest), "."])
        return ({"role": "system", "content": nonce + system.text}, {"role": "user", "content": text}), (nonce,)

    def _new_block(self, block: int) -> str:
        return self._of_block(block, self._ruler.room(BLOCK_TOKENS))

    def _of_block(self, block: int, room: int) -> str:
        """The first part of a block's text."""
        (state,) = struct.unpack_from("<Q", draw(f"block {self._seed} {block}"))
        return self._writers[0].text("", 0, state, room)
