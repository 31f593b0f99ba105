"""Why there is no engine.

EngineError          base
├── GoMissing        no usable engine on PATH, and no Go to build one
├── GoTooOld         Go is there, but older than the engine's module asks for
└── BuildFailed      the build ended with an error; its log says which
"""

from __future__ import annotations

from local.errors import LocalError


class EngineError(LocalError):
    """The Pulumi engine can't be had."""


class GoMissing(EngineError):
    """No usable engine on PATH, and no Go to build one with."""


class GoTooOld(EngineError):
    """Go is installed, but older than the engine's module needs."""


class BuildFailed(EngineError):
    """The build of the engine ended with an error."""
