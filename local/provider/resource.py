"""What the table says of one resource type: which operations make, read, change and delete it.

Templates: in the parameters of a call, a string that starts with `$` stands for a property (or output) of the resource, `$id` for
its id; what has no value is left out. A text with braces, such as `arn:{partition}:s3:::{bucket}`, is filled in from
the properties and from `partition`, `region`, `account` and `id`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.provider.api import Api
    from local.provider.shapes import Problems

Properties = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One operation. `fields` are properties whose member has their own name, `params` all others."""

    operation: str
    params: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    service: str | None = None

    def properties(self) -> set[str]:
        """The properties that the call carries."""
        return set(self.fields) | {name for name in references(self.params) if name != "id"}


def references(template: Any) -> Iterator[str]:
    """The names that a template stands for."""
    if isinstance(template, str) and template.startswith("$"):
        yield template[1:]
    elif isinstance(template, Mapping):
        for inner in template.values():
            yield from references(inner)
    elif isinstance(template, (list, tuple)):
        for inner in template:
            yield from references(inner)


@dataclass(frozen=True)
class Read:
    """An operation that describes the resource, or a part of it.

    `at` leads to what is described (jmespath). The first read of a type is the main one: every property that has a member of its
    name comes from there, and the resource is gone if it answers with one of `absent` or `gone` holds. Later reads
    give `fields` only, and `absent` means that those have no value.
    """

    operation: str
    params: Mapping[str, Any] = field(default_factory=dict)
    at: str = "@"
    fields: Mapping[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    gone: str | None = None
    service: str | None = None


@dataclass(frozen=True)
class Setting:
    """Properties that have a call of their own. `at_create`: also made after creation, where the program gives them a value.

    `clear` is the call for when the last of the properties loses its value.
    """

    props: tuple[str, ...]
    call: Call | Callable[[Api, Properties, Properties], None]
    at_create: bool = True
    clear: Call | None = None


@dataclass(frozen=True)
class Tags:
    """How a type is tagged. `style` is `list` (Key, Value), `kms` (TagKey, TagValue), `ecs` (key, value) or `map`.

    `create` names the member of the create call (`ec2:TYPE`: a tag specification of that type). `read` is a path in the main
    description, or a call and the path in its answer. `put` is for services that only know all tags at once.
    """

    tag: Call | None = None
    untag: Call | None = None
    member: str = "Tags"
    names: str = "TagKeys"
    style: str = "list"
    untag_style: str = "names"
    create: str | None = "Tags"
    read: str | Read = "Tags"
    put: Callable[[Api, str, Properties, Mapping[str, str]], None] | None = None


@dataclass(frozen=True)
class Wait:
    """When a change is done: `path` (in the main description) is among `ok`; failed when among `bad`."""

    path: str
    ok: tuple[Any, ...]
    bad: tuple[Any, ...] = ()
    reason: str | None = None
    seconds: float = 1800.0


@dataclass(frozen=True)
class AutoName:
    """A name that is made where the program gives none. `prefix` is the property that replaces the logical name, if given;
    `start` is what every such name starts with.
    """

    property: str
    longest: int = 255
    lower: bool = False
    prefix: str | None = None
    start: str = ""


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """All that the plugin knows of one type token, beside the SDK's schema and botocore's model."""

    token: str
    service: str
    create: Call
    identity: str
    reads: tuple[Read, ...] = ()
    delete: Call | None = None
    settings: tuple[Setting, ...] = ()
    upsert: bool = False
    absent: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    name: AutoName | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    computed: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    volatile: tuple[str, ...] = ()
    tags: Tags | None = None
    wait: Wait | None = None
    vanishes: bool = False
    delete_before_replace: bool = False
    normalise: Callable[[Api, Properties], Properties] | None = None
    check: Callable[[Properties, Problems], None] | None = None
    on_create: Callable[[Api, Properties], str] | None = None
    after_create: Callable[[Api, str, Properties], None] | None = None
    on_read: Callable[[Api, str, Properties], Properties | None] | None = None
    on_update: Callable[[Api, str, Properties, Properties, set[str]], None] | None = None
    on_delete: Callable[[Api, str, Properties], None] | None = None
    must_replace: Callable[[Properties, Properties, set[str]], set[str]] | None = None
    unknown_after: Callable[[set[str]], set[str]] | None = None

    def managed(self) -> frozenset[str]:
        """The input properties that the plugin acts on; any other is refused at preview."""
        names = self.create.properties() | set(self.local)
        for setting in self.settings:
            names |= set(setting.props)
        if self.tags:
            names |= {"tags", "tagsAll"}
        return frozenset(names | {"region"})
