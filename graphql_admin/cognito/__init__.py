"""Amazon Cognito over HTTP: what to send, how often, and what its replies mean."""
