"""Prompts of a dataset: its examples in a drawn order, then in that order over again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadtests.draws import draw, drawn
from loadtests.workload.request import prompt_hash
from loadtests.workload.synthetic import NONCE_CHARS, Asked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.schedule import Size
    from loadtests.workload.datasets import Example, Sample
    from loadtests.workload.definition import Definition


class Examples:
    """
    The prompts of a definition with a dataset.

    Args:
        known: The definition.
        seed: Of the order and of the nonces.
        salt: Of the nonces alone.
        sample: What was drawn from the file.

    Attributes:
        extra: Every body field that an example brings.
    """

    def __init__(self, known: Definition, seed: int | str, salt: str, sample: Sample) -> None:
        self._known, self._seed, self._salt, self._sample = known, seed, salt, sample
        order = sorted(range(len(sample.examples)), key=lambda i: draw(f"example {seed} {i}"))
        self._examples: list[Example] = [sample.examples[i] for i in order]
        self.extra: Mapping[str, Any] = {key: value for one in self._examples for key, value in one.extra.items()}

    def turns(self, a: int) -> int:
        """How many turns there is something to say for."""
        return 1 + len(self._of(a).turns)

    def first(self, a: int, size: Size | None) -> Asked:  # noqa: ARG002 - a trace cannot change a dataset's prompts
        """What an arrival's first request asks."""
        messages, extra = self._of(a).messages, self._of(a).extra
        hashed = prompt_hash(messages)
        if self._known.cache == "cold":
            nonce = draw(f"nonce {self._salt} {self._seed} {a}").hex()[:NONCE_CHARS]
            messages = (_opened(messages[0], nonce), *messages[1:])
        return Asked(messages, hashed, self._cap(a, 0), extra)

    def later(self, a: int, turn: int, history: Sequence[dict[str, Any]]) -> Asked:
        """What a later turn of a conversation asks, behind its history."""
        message = {"role": "user", "content": self._of(a).turns[turn - 1]}
        return Asked((*history, message), prompt_hash((message,)), self._cap(a, turn), self._of(a).extra)

    def words(self, told: Size | None = None) -> list[str]:  # noqa: ARG002 - a trace cannot change a dataset's prompts
        """Its source, for people."""
        cap = f"{self._known.output.words()} tokens" if self._known.output else "as long as the dataset's own"
        return [f"{self._sample.words()}, over and over", f"answers at most {cap}"]

    def _of(self, a: int) -> Example:
        return self._examples[a % len(self._examples)]

    def _cap(self, a: int, turn: int) -> int | None:
        """The definition's cap, else the dataset's, which knows the first answer's length alone."""
        if self._known.output is not None:
            return int(self._known.output.at(drawn(f"output {self._seed} {a} {turn}")))
        return self._of(a).output_tokens


def _opened(message: dict[str, Any], nonce: str) -> dict[str, Any]:
    """The message with a nonce before its text; one that has no text gets one."""
    content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [{"type": "text", "text": nonce}, *content]}
    return {**message, "content": f"{nonce} {content or ''}"}
