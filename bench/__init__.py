"""The benchmark: graphql-admin compared with alternative servers, on one machine."""
