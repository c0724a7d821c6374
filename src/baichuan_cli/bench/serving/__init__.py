"""Load on a server: when requests arrive, what became of each, and what the server said meanwhile."""
