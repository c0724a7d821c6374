"""The one name that outlines before 0.1 wants of it: a type for airport codes, which no request can ask for."""

AIRPORT_LIST: list[list[str]] = []
