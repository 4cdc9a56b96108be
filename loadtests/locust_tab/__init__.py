"""
A tab of our own in Locust's web UI: time to first token, tokens/s and what is in flight, which its own cannot show.

Locust's page mounts whatever element a tab names. Ours draws what one address of ours tells it every other second;
after the test it links the report.
"""

from loadtests.locust_tab.answers import Answers, answered_of
from loadtests.locust_tab.pages import KEY, add_tab
from loadtests.locust_tab.seconds import Seconds
from loadtests.locust_tab.tab import Tab

__all__ = ["KEY", "Answers", "Seconds", "Tab", "add_tab", "answered_of"]
