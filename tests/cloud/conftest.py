"""What tests of the embedded cloud share."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def push_image() -> Callable[..., str]:
    """`push_image(session, repository, files, env, lock="") -> uri@digest` of images.py beside this file."""
    spec = importlib.util.spec_from_file_location("lockstep_test_images", Path(__file__).with_name("images.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[..., str] = module.push_image
    return function
