"""Log, metrics and what a request leaves of itself in both."""
