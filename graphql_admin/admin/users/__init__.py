"""Users of the user pool."""
