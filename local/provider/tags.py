"""Tags in the styles that AWS's services have, and the default tags of the provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.provider.api import Api, Settings, operation_model
from local.provider.errors import AwsError
from local.provider.resource import Properties, ResourceType, Tags
from local.provider.shapes import member_of

_NAMES = {"list": ("Key", "Value"), "kms": ("TagKey", "TagValue"), "ecs": ("key", "value")}


def tags_to(style: str, tags: Mapping[str, Any]) -> Any:
    """A map of tags as the service wants it."""
    if style == "map":
        return dict(tags)
    key, value = _NAMES[style]
    return [{key: k, value: v} for k, v in sorted(tags.items())]


def tags_from(style: str, found: Any) -> dict[str, str]:
    """The reverse; AWS's own tags are left out."""
    if not found:
        return {}
    if isinstance(found, Mapping):
        pairs = dict(found)
    else:
        key, value = _NAMES[style]
        pairs = {t[key]: t.get(value, "") for t in found}
    return {str(k): str(v) for k, v in pairs.items() if not str(k).startswith("aws:")}


def create_tags(tags: Tags, service: str, operation: str, params: Properties, wanted: Mapping[str, Any]) -> None:
    """Adds the tags to the parameters of the create call."""
    if not tags.create or not wanted:
        return
    if tags.create.startswith("ec2:"):
        params["TagSpecifications"] = [{"ResourceType": tags.create.removeprefix("ec2:"), "Tags": tags_to("list", wanted)}]
        return
    shape = operation_model(service, operation).input_shape
    assert shape is not None
    member = member_of(shape, tags.create) or tags.create
    params[member] = tags_to(tags.style, wanted)


def read_tags(api: Api, kind: ResourceType, identity: str, values: Mapping[str, Any]) -> dict[str, str]:
    """All tags that the resource has."""
    from local.provider.operations import Request, describe, is_absent

    assert kind.tags is not None
    source, style = kind.tags.read, kind.tags.style
    if isinstance(source, str):
        return {}
    if style == "map" or not source.at.isidentifier():
        return tags_from(style, describe(api, kind, source, identity, values))
    request = Request(kind.service, source, values, identity)
    try:
        return tags_from(style, api.pages(request.service, request.operation, source.at, **request.params))
    except AwsError as error:
        if is_absent(error, source.absent):
            return {}
        raise


def apply_tags(api: Api, kind: ResourceType, identity: str, values: Properties, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Takes away the tags that are no longer wanted and sets those that are new or different."""
    from local.provider.operations import Request

    assert kind.tags is not None
    if kind.tags.put:
        kind.tags.put(api, identity, values, new)
        return
    assert kind.tags.tag is not None
    assert kind.tags.untag is not None
    known = values
    if "arn" not in values and "arn" in kind.outputs:
        from local.provider.operations import fill

        known = {**values, "arn": fill(kind.outputs["arn"], api, identity, values)}
    gone = sorted(set(old) - set(new))
    changed = {k: v for k, v in new.items() if old.get(k) != v}
    if gone:
        request = Request(kind.service, kind.tags.untag, known, identity)
        request.params[kind.tags.names] = [{"Key": k} for k in gone] if kind.tags.untag_style == "pairs" else gone
        api.call(request.service, request.operation, **request.params)
    if changed:
        request = Request(kind.service, kind.tags.tag, known, identity)
        request.params[kind.tags.member] = tags_to(kind.tags.style, changed)
        api.call(request.service, request.operation, **request.params)


def merged(settings: Settings, tags: Any) -> Any:
    """The tags of a resource over the provider's default ones."""
    return {**settings.default_tags, **(tags if isinstance(tags, Mapping) else {})}


def split_tags(settings: Settings, everything: Mapping[str, str], own: Any) -> tuple[dict[str, str], dict[str, str]]:
    """(tagsAll, tags): what comes from the provider's defaults alone is not among the resource's own."""
    kept = {
        k: v
        for k, v in everything.items()
        if k not in settings.ignore_tag_keys and not any(k.startswith(p) for p in settings.ignore_tag_prefixes)
    }
    known = own if isinstance(own, Mapping) else {}
    return kept, {k: v for k, v in kept.items() if settings.default_tags.get(k) != v or k in known}
