"""Fast GraphQL execution: documents, their limits and costs, and compiled plans."""
