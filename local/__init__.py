"""The embedded cloud and the engine that drive a rehearsal; nothing outside the command line imports it."""
