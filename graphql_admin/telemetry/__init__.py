"""Logging, metrics, and the record of a request for both."""
