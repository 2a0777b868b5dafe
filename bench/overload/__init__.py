"""What one client can do to all others: attacks on the server, and what comes of each."""
