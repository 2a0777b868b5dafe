"""The audit log: one event for every attempt to change something."""
