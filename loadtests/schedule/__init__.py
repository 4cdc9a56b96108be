"""
When requests go out: an open loop's arrivals computed ahead from a seed, or a closed loop's users and their turns.

Pure but for reading its own files (stages, traces): no clock. A schedule is made once, hashed into the manifest and
sharded over the workers by index, so that the same seed offers the same load on any number of workers.
"""

from loadtests.schedule.arrivals import Schedule, Size, Sizes
from loadtests.schedule.bounds import MAX_ARRIVALS, MAX_S, ScheduleError
from loadtests.schedule.closed import Closed, closed_loop
from loadtests.schedule.laws import ARRIVALS, Law, constant, law_of
from loadtests.schedule.opening import open_loop
from loadtests.schedule.stages import Stage, read_stages
from loadtests.schedule.trace import Trace, read_trace

__all__ = [
    "ARRIVALS", "MAX_ARRIVALS", "MAX_S", "Closed", "Law", "Schedule", "ScheduleError", "Size", "Sizes", "Stage",
    "Trace", "closed_loop", "constant", "law_of", "open_loop", "read_stages", "read_trace",
]  # fmt: skip
