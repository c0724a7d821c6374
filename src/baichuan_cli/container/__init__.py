"""How to run bcli in a container on each kind of hardware: the commands of Docker, and a Compose file."""
