"""Offer load to LLM APIs and record what came back: profile, workload, schedule -> users -> send -> wire -> record."""

__version__ = "0.1.0"
