"""Who somebody is, as AWS itself tells it: `UserContext.IamIdentity` of what they made or changed.

A role is anybody's who may assume it, so what is compared are persons: the source identity that a session carries, the session's name,
the user's name. Names that SDKs make up for a session name nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MADE_UP = re.compile(r"(botocore-session|aws-go-sdk|aws-sdk-[a-z-]+|aws-?cli-session|sagemaker)?-?\d*", re.IGNORECASE)
"""Session names that SDKs and services make up: a word of theirs, a time, or both."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """One identity. `principal_id` is what IAM calls `aws:userid`: `<role id>:<session name>`, a user's id, or an account's id.

    `read_from` says which answer of AWS it stands in. A signature gives the principal's id alone.
    """

    principal_id: str
    read_from: str
    arn: str = ""
    source_identity: str = ""

    @classmethod
    def told(cls, context: Mapping[str, Any] | None, read_from: str) -> Identity | None:
        """The identity in a UserContext (CreatedBy, LastModifiedBy); None where AWS names none."""
        found = (context or {}).get("IamIdentity") or {}
        if not found.get("PrincipalId"):
            return None
        return cls(
            principal_id=str(found["PrincipalId"]),
            arn=str(found.get("Arn", "")),
            source_identity=str(found.get("SourceIdentity", "")),
            read_from=read_from,
        )

    @property
    def names(self) -> frozenset[str]:
        """The names of the person, in lower case; empty where they name nobody."""
        given = [self.source_identity, self.principal_id.partition(":")[2]]
        if ":user/" in self.arn:
            given.append(self.arn.rpartition("/")[2])
        elif not given[1]:
            given.append(self.principal_id)
        return frozenset(name.lower() for name in given if name and (not _MADE_UP.fullmatch(name) or name == self.principal_id))

    @property
    def role_name(self) -> str:
        """Name of the role whose session it is; empty for others."""
        found = re.fullmatch(r"arn:[^:]+:sts::\d{12}:assumed-role/([^/]+)/.+", self.arn)
        return found[1] if found else ""

    def is_same_person(self, other: Identity) -> bool:
        """Where both sessions carry a source identity that decides; a Studio role's sessions all have one id and one name."""
        if self.source_identity and other.source_identity:
            return self.source_identity.lower() == other.source_identity.lower()
        return self.principal_id == other.principal_id or bool(self.names & other.names)

    def __str__(self) -> str:
        return self.arn or self.principal_id

    def document(self) -> dict[str, str]:
        """As evidence keeps it: what AWS said, and where."""
        return {name: value for name, value in vars(self).items() if value}
