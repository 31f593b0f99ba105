"""Takes an environment down: what it holds, its releases, and then its stack.

holdings   what an environment holds that `pulumi destroy` would not remove, or would refuse over
steps      the order of it all
"""

from __future__ import annotations
