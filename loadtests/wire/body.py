"""What takes the body of an answer: the two ways in which an exchange hands it on."""

from __future__ import annotations

from array import array
from collections.abc import Callable

Take = Callable[[bytes, int], bool]
"""A consumer of body bytes and their stamp; says whether they carried payload, which keep-alives do not."""

Skim = Callable[[list[bytes], array[int], int], int]
"""
A consumer that knows at a glance what whole chunks hold.

Takes reads that each may be one chunk with its head and end, their stamps, and the place of the first; returns how many
it has taken from there on. Not one, where the first is not what it knows.
"""
