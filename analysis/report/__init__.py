"""
The report: one HTML file that needs nothing else, its charts beside it, and the same in markdown.

`run` is the page of one run with its arms, `comparison` that of several sides; the page of a sweep or a search is
`analysis.capacity.report`. Each is made by a function of what was judged alone, so that `verify` can make it again;
`page` is what they share, `made` puts it on the disk.
"""

from analysis.report.run import write

__all__ = ["write"]
