"""
The process beside a load-making one on another machine: it joins the master, passes on what both say, ships the rows.

It shares nothing with the timed path but the machine: it reads the parts that the load-making process writes, and ships
them as fast as the connection takes them. When the master is gone, the load ends and the parts stay.
"""

from loadtests.agent.agent import Agent, End
from loadtests.agent.load import Child, Parent

__all__ = ["Agent", "Child", "End", "Parent"]
