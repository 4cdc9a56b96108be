"""Shares of requests: who is streamed, who brings tools, whose client gives up. Exact in small blocks, not by luck."""

from __future__ import annotations

from typing import Final

from loadtests.draws import draw

BLOCK: Final = 10
"""Those who are in and those who are out are mixed in blocks of so many places, with the exact share in each."""


class Share:
    """
    A share of all places 0, 1, 2 ..., kept in every block of `BLOCK`, shuffled inside.

    Args:
        label: What it is a share of; another label gives other places.
        seed: Of the run.
        share: 0 to 1.
    """

    def __init__(self, label: str, seed: int | str, share: float) -> None:
        self._label = f"{label} {seed}"
        self._ppm = round(share * 1_000_000)

    def holds(self, index: int) -> bool:
        """
        Whether this place is one of them.

        Block b has floor((b + 1) * BLOCK * share) - floor(b * BLOCK * share) of them: those whose place comes first in
        the order i -> (a * i + c) mod BLOCK, with a (no common divisor with BLOCK) and c drawn per block. A fixed
        pattern would give all of them to the same worker when workers take every n-th place.
        """
        if self._ppm in (0, 1_000_000):
            return self._ppm > 0
        block, place = divmod(index, BLOCK)
        before, after = (b * BLOCK * self._ppm // 1_000_000 for b in (block, block + 1))
        word = draw(f"{self._label} {block}")
        return ((1, 3, 7, 9)[word[0] % 4] * place + word[1]) % BLOCK < after - before
