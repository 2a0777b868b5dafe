"""How long tests wait."""

PATIENCE = 120
"""Seconds after which what has not come never will: it tells a hang, on the slowest machine too."""
