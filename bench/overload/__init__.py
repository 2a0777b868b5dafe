"""Attacks on the server by one client, and their effect on the others."""
