"""The gate: one verdict for a build server from a comparison and objectives, and the files that carry it."""
