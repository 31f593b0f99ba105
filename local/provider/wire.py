"""Values as the engine sends them: protobuf structs with markers for secrets, unknowns, assets and outputs.

Markers are those of the engine's property-value encoding (pulumi/pulumi, sdk/go/common/resource).
"""

from __future__ import annotations

import base64
import io
import tarfile
import urllib.request
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from google.protobuf import struct_pb2

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWN_TEXTS: Final = frozenset(
    {
        UNKNOWN_TEXT,
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "30794b04-95a9-4f50-8b8e-1bfe1a0e5ff7",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
_HERE: Final = Path(".")


class Unknown:
    """A value that is not computed yet (there is one instance)."""

    def __repr__(self) -> str:
        return "<unknown>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Unknown:
        return self


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Asset:
    """A file-like value; `raw` is the struct as the engine sent it, which goes back to it unchanged."""

    raw: dict[str, Any]
    base: Path = Path(".")

    @property
    def hash(self) -> str:
        return str(self.raw.get("hash", ""))

    def read(self) -> bytes:
        """The bytes: of the text, the file or the address; an archive as the engine hashed it, as a zip or tar."""
        for key in ("text", "path", "uri"):
            if self.raw.get(key):
                value = str(self.raw[key])
                if key == "text":
                    return value.encode()
                if key == "uri":
                    with urllib.request.urlopen(value) as answer:
                        return bytes(answer.read())
                path = self.base / value
                return path.read_bytes() if path.is_file() else _pack_folder(path)
        if "assets" in self.raw:
            return _pack_members(self.raw["assets"], self.base)
        return b""


def _pack_folder(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path in sorted(folder.rglob("*")):
            archive.add(path, str(path.relative_to(folder)), recursive=False)
    return buffer.getvalue()


def _pack_members(members: Mapping[str, Any], base: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            archive.writestr(
                zipfile.ZipInfo(name), (members[name] if isinstance(members[name], Asset) else Asset(members[name], base)).read()
            )
    return buffer.getvalue()


def decode(value: struct_pb2.Value, base: Path = _HERE) -> Any:
    """One value: plain Python, `UNKNOWN` or `Asset` (its path is relative to the folder `base`).

    Secrets lose their wrapping: the engine keeps track of them.
    """
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _decode_map(value.struct_value, base)
    if kind == "list_value":
        return [decode(v, base) for v in value.list_value.values]
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWN_TEXTS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    if kind == "bool_value":
        return value.bool_value
    return None


def _decode_map(struct: struct_pb2.Struct, base: Path) -> Any:
    fields = struct.fields
    if SIGNATURE in fields:
        signature = fields[SIGNATURE].string_value
        if signature in (SECRET, OUTPUT):
            return decode(fields["value"], base) if "value" in fields else UNKNOWN
        if signature in (ASSET, ARCHIVE):
            return Asset({k: decode(v, base) for k, v in fields.items()}, base)
    return {k: decode(v, base) for k, v in fields.items()}


def decode_struct(struct: struct_pb2.Struct, base: Path = _HERE) -> dict[str, Any]:
    """The properties of a request; nulls are left out, as the bridge does."""
    return {k: v for k, v in ((k, decode(v, base)) for k, v in struct.fields.items()) if v is not None}


def encode(value: Any) -> struct_pb2.Value:
    """The reverse of `decode`."""
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=UNKNOWN_TEXT)
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, (int, float)):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, bytes):
        return struct_pb2.Value(string_value=base64.b64encode(value).decode())
    if isinstance(value, Asset):
        return encode(Plain(value.raw))
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=encode_struct(value))
    if isinstance(value, (list, tuple)):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[encode(v) for v in value]))
    raise TypeError(f"no encoding for {type(value).__name__}")


class Plain(dict[str, Any]):
    """A map that keeps its nulls when encoded."""


def encode_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Properties for an answer; nulls are left out."""
    keep = isinstance(values, Plain)
    return struct_pb2.Struct(fields={str(k): encode(v) for k, v in values.items() if keep or v is not None})


def contains_unknown(value: Any) -> bool:
    """Whether any part of the value is not computed yet."""
    if value is UNKNOWN:
        return True
    if isinstance(value, Mapping):
        return any(contains_unknown(v) for v in value.values())
    return isinstance(value, (list, tuple)) and any(contains_unknown(v) for v in value)
