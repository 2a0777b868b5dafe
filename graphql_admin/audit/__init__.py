"""One event for every attempt to change something, and where events go."""
