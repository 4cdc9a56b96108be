"""
Was the comparison fair? What each side was beside its numbers: how far away, over what connections, with what answers.

`sheet` gathers it from rows and manifest, one run at a time; `shown` says it as a table; `biases` says what differs
between the sides enough to bias what is compared.
"""

from __future__ import annotations

from analysis.fairness.biases import biases
from analysis.fairness.sheet import Sheet, add, of
from analysis.fairness.shown import Entry, entries

__all__ = ["Entry", "Sheet", "add", "biases", "entries", "of"]
