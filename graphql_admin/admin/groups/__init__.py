"""Groups of the user pool."""
