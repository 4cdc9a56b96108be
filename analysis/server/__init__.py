"""
What a run's server said of itself: its figures over time by their role, and what of it ran out first.

`roles` knows whose series mean what, `served` makes figures over time of them, `findings` says what follows.
"""

from analysis.server.findings import Finding, exhausted
from analysis.server.served import Gauge, Served, read
from analysis.server.told import Figure, Told, of

__all__ = ["Figure", "Finding", "Gauge", "Served", "Told", "exhausted", "of", "read"]
