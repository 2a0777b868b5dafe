"""An embedded Cognito for development."""
