"""The benchmark: graphql-admin beside the servers one would use instead, on one machine."""
