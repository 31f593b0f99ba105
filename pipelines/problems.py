"""What is wrong with a file that a person wrote, as key paths and sentences, and nothing of the library that found it."""

from __future__ import annotations

from pydantic import ValidationError


def told(error: Exception) -> str:
    """One line for an error of reading or validating a file."""
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    found = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'the whole'}: {each['msg'].removeprefix('Value error, ')}" for each in found)
