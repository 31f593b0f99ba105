"""Tags of SageMaker resources, kept by ARN. Resources of ours register theirs here; those of moto keep them on the resource."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from local.cloud.sagemaker.base import SageMakerBase, validation

MOST = 50


class TagOps(SageMakerBase):
    """AddTags, ListTags, DeleteTags, and how resources take part: `set_tags` when created, `drop_tags` when deleted."""

    @cached_property
    def tags_by_arn(self) -> dict[str, dict[str, str]]:
        return {}

    def set_tags(self, arn: str, tags: Iterable[dict[str, str]] | None) -> None:
        """Register a resource, with its first tags."""
        self.tags_by_arn[arn] = _checked({tag["Key"]: tag["Value"] for tag in tags or ()})

    def drop_tags(self, arn: str) -> None:
        self.tags_by_arn.pop(arn, None)

    def tags_of(self, arn: str) -> list[dict[str, str]]:
        """The tags of a resource; ValidationException where there is none of that ARN."""
        with self.lock:
            return [{"Key": key, "Value": value} for key, value in self._tags(arn).items()]

    def add_tags(self, arn: str, tags: list[dict[str, str]]) -> list[dict[str, str]]:
        with self.lock:
            held = {**self._tags(arn), **{tag["Key"]: tag["Value"] for tag in tags}}
            self._keep(arn, _checked(held))
        return self.tags_of(arn)

    def delete_tags(self, arn: str, tag_keys: list[str]) -> None:
        with self.lock:
            self._keep(arn, {key: value for key, value in self._tags(arn).items() if key not in tag_keys})

    def _tags(self, arn: str) -> dict[str, str]:
        if arn in self.tags_by_arn:
            return self.tags_by_arn[arn]
        return {tag["Key"]: tag["Value"] for tag in self._resource(arn).tags or ()}

    def _keep(self, arn: str, tags: dict[str, str]) -> None:
        if arn in self.tags_by_arn:
            self.tags_by_arn[arn] = tags
        else:
            self._resource(arn).tags = [{"Key": key, "Value": value} for key, value in tags.items()]

    def _resource(self, arn: str) -> Any:
        try:
            found = self._get_resource_from_arn(arn)  # type: ignore[attr-defined]
        except (AttributeError, KeyError, ValueError):
            found = None
        if found is None or not hasattr(found, "tags"):
            raise validation(f"Could not find a resource with ARN {arn}.")
        return found


def _checked(tags: dict[str, str]) -> dict[str, str]:
    if len(tags) > MOST:
        raise validation(f"A resource has at most {MOST} tags.")
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or len(value) > 256 or key.lower().startswith("aws:"):
            raise validation(f"Tag {key!r}: a key has 1 to 128 characters and does not start with aws:, a value has at most 256.")
    return tags
