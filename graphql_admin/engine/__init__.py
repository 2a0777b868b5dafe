"""GraphQL made fast: documents, their limits and costs, and how they are executed."""
