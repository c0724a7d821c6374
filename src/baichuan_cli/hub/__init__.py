"""Models on this machine: the local store, what is known about each file in it, and how they get there."""
