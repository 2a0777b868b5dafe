"""Bearer tokens: who makes a request."""
