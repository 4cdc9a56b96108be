"""The usual provider: OpenAI's shapes, and everything that OpenAI's clients ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtests.mock.answer import ERRORS
from loadtests.mock.providers.provider import WRONG_KEY, Provider, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.mock.providers.rules import Problem


def refuse(status: int, message: str, _problems: Sequence[Problem] = ()) -> Refusal:
    """OpenAI's error object."""
    _, kind, code, usual = ERRORS.get(status, ERRORS[400])
    error = {"message": message or usual, "type": kind, "param": None, "code": code}
    return {"error": error}, [("Retry-After", "2")] if status == 429 else []


def complain(authorization: str, key: str | None) -> str | None:
    """Everybody is let in unless a key is asked for."""
    return None if key is None or authorization == f"Bearer {key}" else WRONG_KEY


GENERIC: Final = Provider(
    name="generic",
    summary="any base path, OpenAI's shapes, tools, JSON schemas, n, stop; the one to calibrate with",
    base="",
    rules=None,
    refuse=refuse,
    complain=complain,
)
