"""
The machine's own limit and error: our own run against the embedded provider, up a ladder, held against its log.

`play` is what the provider answers, `ladder` has the rungs and judges them, `measure` does one of them, `figures`
compares what was recorded with what was sent, `climb` puts them together.
"""
