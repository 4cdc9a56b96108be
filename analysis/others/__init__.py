"""
A run in the words of other tools: what they would have reported for the same requests.

Reads judged runs and stands beside `summary`; nothing else reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from analysis.others import aiperf, genai_bench, vllm

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analysis.others.retold import Retold
    from analysis.summary import Judged

TOOLS: Final[Mapping[str, Callable[[Judged], Retold]]] = {
    "vllm": vllm.retell,
    "aiperf": aiperf.retell,
    "genai-bench": genai_bench.retell,
}
