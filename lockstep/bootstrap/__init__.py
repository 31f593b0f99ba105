"""What an environment needs before its first `pulumi up`, and Pulumi therefore can't make: where the state lies, and who may deploy.

item       one thing to have: how to see whether it is there, how to make it
state      the state bucket, the key that encrypts it and the stack's secrets
identity   GitHub's OIDC provider and the role that CI takes on for this environment alone
"""

from __future__ import annotations
