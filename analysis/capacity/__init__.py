"""What a server carries: runs at several loads, the search for the highest that keeps its promises, and its cost."""
