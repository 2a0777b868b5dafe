"""The server process: uvicorn, with an HTTP/1.1 protocol of its own."""
