"""Two sides beside each other: what they differ by, how sure that is, and what follows."""
