"""The server process: uvicorn, and its HTTP/1.1."""
