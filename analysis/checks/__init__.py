"""The checks of a run: what each looks at, what it may be, and what to do about it."""
