"""
Does what a run directory says still follow from its rows?

Each module holds one kind of file against what it rests on: `files` all of them against the digests that run.json
keeps, `settings` run.json against the footer of requests.parquet, `derived` and `sound` the rows against themselves and
the prices, `judgement` validity.json and quantiles.parquet against the rows, `page` a report against one made anew.

What nobody can find here: rows that were made up, or changed, together with everything that follows from them and with
both digests. Whoever can write all the files of a run can write another run.
"""
