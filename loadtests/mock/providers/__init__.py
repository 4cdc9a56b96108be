"""
The providers that the mock can be: four of which documents exist, one that another is built on, and the usual one.

They follow the documents by themselves, apart from the profiles, so that each checks the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadtests.mock.providers.deutschlandgpt import DEUTSCHLANDGPT
from loadtests.mock.providers.eighty import EIGHTY
from loadtests.mock.providers.llmgateway import LLMGATEWAY
from loadtests.mock.providers.meingpt import MEINGPT
from loadtests.mock.providers.morpheus import MORPHEUS
from loadtests.mock.providers.openai import GENERIC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.mock.providers.provider import Provider

PROVIDERS: Final[Mapping[str, Provider]] = {
    provider.name: provider for provider in (GENERIC, DEUTSCHLANDGPT, MEINGPT, EIGHTY, MORPHEUS, LLMGATEWAY)
}
"""By name."""
