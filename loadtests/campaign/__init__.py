"""
Runs that belong together, in one folder, planned and played one after another.

    entry      one run of it, and what it changes of the plan
    leftover   what an interrupted one has left of a run
    file       campaign.json, and who holds the folder
    campaign   the campaign itself
"""

from loadtests.campaign.campaign import Campaign
from loadtests.campaign.entry import Entry, Step, entries, parts_of, sides, stepped
from loadtests.campaign.file import FILE

__all__ = ["FILE", "Campaign", "Entry", "Step", "entries", "parts_of", "sides", "stepped"]
