"""What makes a provider: paths, keys, rules for parameters, error bodies, headers and the manner of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from loadtests.mock.manner import USUAL, Manner
from loadtests.mock.request import CAPS
from loadtests.mock.score import played
from loadtests.mock.wish import ALL

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from loadtests.mock.providers.rules import Problem, Rule
    from loadtests.mock.request import Request
    from loadtests.mock.scene import Scene
    from loadtests.mock.score import Field, Score

Refusal = tuple[Any, list[tuple[str, str]]]
"""The JSON value of an error's body, and further header fields."""

NO_KEY: Final = "No API key provided."
WRONG_KEY: Final = "Incorrect API key provided."


def bearer(authorization: str, key: str | None) -> str | None:
    """What is wrong with the key, if something is: any bearer token will do unless one is asked for."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return NO_KEY
    return WRONG_KEY if key is not None and token != key else None


def no_fields(_created_s: int) -> list[Field]:
    """No further header fields."""
    return []


def no_breaks(_request: Request, _asked: Mapping[str, Any]) -> list[str]:
    """No rules besides those for parameters."""
    return []


@dataclass(frozen=True, slots=True)
class Provider:
    """
    A provider.

    Attributes:
        name: For `--provider`.
        summary: One line for `--list`.
        base: Path before "/chat/completions" and "/models"; "/v1" is served too. "" is any.
        rules: Of the documented parameters; None where OpenAI's least is all that is asked for.
        refuse: Status, message and problems of parameters to an error's body.
        invalid: Status of a request whose parameters break a rule.
        complain: What is wrong with the Authorization header, given the key that is asked for; None where it is fine.
        key_prefix: What its keys begin with; a request that has another breaks a rule, but is answered.
        others: What becomes of parameters that no rule names: "ignored", "dropped" or "undocumented".
        caps: Names under which a cap is heeded.
        honoured: What else is heeded, of `wish.ALL`.
        forces_stream: Requests with tools are streamed, asked or not.
        usage: Whether a stream tells its usage: "option" (where include_usage asks for it), "always" or "never".
        manner: Of its answers.
        play: Scene, manner and header fields to what goes out.
        fields: Header fields of an answer, given the unix second.
        breaks: Further rules that a request broke.
        models: Those it lists; the first is the default.
        falls_back: A model that it does not know is answered by the default one.
        has_sessions: The first request for a model opens a session, which takes its time.
    """

    name: str
    summary: str
    base: str
    rules: Mapping[str, Rule] | None
    refuse: Callable[[int, str, Sequence[Problem]], Refusal]
    invalid: int = 400
    complain: Callable[[str, str | None], str | None] = bearer
    key_prefix: str = ""
    others: str = "undocumented"
    caps: tuple[str, ...] = CAPS
    honoured: Collection[str] = ALL
    forces_stream: bool = False
    usage: str = "option"
    manner: Manner = USUAL
    play: Callable[[Scene, Manner, Sequence[Field]], Score] = played
    fields: Callable[[int], list[Field]] = no_fields
    breaks: Callable[[Request, Mapping[str, Any]], list[str]] = no_breaks
    models: tuple[str, ...] = ("mock",)
    falls_back: bool = False
    has_sessions: bool = False

    def is_at(self, path: str, end: str) -> bool:
        """Whether a path is this provider's own for this end, or the usual one."""
        return path.endswith(end) if not self.base else path in (self.base + end, "/v1" + end)

    def broken(self, request: Request, asked: Mapping[str, Any], problems: Sequence[Problem]) -> list[str]:
        """The rules that a request broke, in words."""
        unknown = [] if self.rules is None else [name for name in asked if name not in self.rules]
        found = [str(problem) for problem in problems] + [f"{self.others} parameter {name}" for name in unknown]
        if not request.header("content-type").startswith("application/json"):
            found.append("Content-Type is not application/json")
        if self.key_prefix and self.key_prefix not in request.authorization:
            found.append(f"the key does not begin with {self.key_prefix}")
        return found + self.breaks(request, asked)
