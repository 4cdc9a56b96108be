"""Inside the streams: chunks, the gaps between them, and distributions of very many of these."""
