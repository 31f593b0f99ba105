"""Where the Pulumi engine comes from: one on PATH, or one built here from its Go module; and its Python language host.

locate          which `pulumi` to use, and with which language host
build           builds the engine once a machine, into a cache outside the checkout
language_host   runs Python programs for the engine where the official host is missing
language_plugin puts that host where the engine finds it
module/         go.mod and go.sum of the engine: the version, and the digest of all that goes into it
"""

from __future__ import annotations
