"""Serving: one handler from request to answer, used by the server and by evaluation alike."""
