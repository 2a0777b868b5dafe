"""The admin API for Amazon Cognito: users and groups of a user pool over GraphQL."""

__version__ = "0.1.0"
