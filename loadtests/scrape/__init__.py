"""
The server's own view of a run: its Prometheus endpoint, asked each second by the process that offers no load.

`address` says where, `exposition` what an answer means, `scraper` when, and where it is kept until the run is over.
"""

from loadtests.scrape.address import AUTO, Endpoint, ScrapeError, checked, endpoints
from loadtests.scrape.scraper import begin

__all__ = ["AUTO", "Endpoint", "ScrapeError", "begin", "checked", "endpoints"]
