"""What is read of a base, from whom, and what is refused: each with its reason."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from infra.errors import ConfigError, IntegrityError, LockstepError, PreflightError, UsageError
from lockstep.images import base
from lockstep.images.blobs import Blobs
from tests.images.registry import Registry, layer


def resolve(registry: Registry, digest: str, blobs: Blobs, **options: Any) -> base.Base:
    return base.resolve(f"{registry.name}@{digest}", blobs=blobs, **options)


def test_a_base_is_read_with_a_token_that_anybody_gets(registry: Registry, blobs: Blobs) -> None:
    digest = registry.image()
    found = resolve(registry, digest, blobs)
    assert (found.name, found.python) == (f"{registry.name}@{digest}", "3.12.7")
    assert [each.digest for each in found.layers] == [name for name in registry.blobs if name != list(registry.blobs)[-1]]
    assert not [path for path in registry.asked if path.endswith(found.layers[0].digest)], "a build needs no layers"


def test_of_an_index_the_image_for_this_platform_is_taken_and_named(registry: Registry, blobs: Blobs) -> None:
    fitting = registry.image()
    other = registry.image(architecture="arm64")
    index = registry.index(amd64_v3=other, arm64=other, amd64=fitting)
    assert resolve(registry, index, blobs).name == f"{registry.name}@{fitting}"


def test_what_was_read_once_is_not_asked_for_again(registry: Registry, blobs: Blobs) -> None:
    index = registry.index(amd64=registry.image())
    found = resolve(registry, index, blobs)
    with found.open(found.layers[1].digest) as stream:
        first = stream.read()
    registry.asked.clear()
    again = resolve(registry, index, blobs)
    with again.open(found.layers[1].digest) as stream:
        assert stream.read() == first
    assert registry.asked == []


def test_a_damaged_cache_is_read_again(registry: Registry, blobs: Blobs) -> None:
    digest = registry.image()
    found = resolve(registry, digest, blobs)
    with found.open(found.layers[0].digest) as stream:
        whole = stream.read()
    path = blobs.path(found.layers[0].digest)
    path.write_bytes(whole[:-1] + b"!")
    with found.open(found.layers[0].digest) as stream:
        assert stream.read() == whole


def test_a_tag_is_refused_with_the_digest_that_it_names(registry: Registry, blobs: Blobs) -> None:
    digest = registry.index(tag="3.12-slim", amd64=registry.image())
    with pytest.raises(UsageError, match="a tag can be moved") as raised:
        base.resolve(f"{registry.name}:3.12-slim", blobs=blobs)
    assert f"{registry.name}@{digest}" in str(raised.value.remedy)
    with pytest.raises(UsageError) as raised:
        base.resolve(f"{registry.name}:none", blobs=blobs)
    assert "its digest can't be told from here: the registry does not have it" in str(raised.value.remedy)


@pytest.mark.parametrize(
    ("config", "media_type", "message"),
    [
        ({"architecture": "arm64"}, None, "the base is for linux/arm64"),
        ({"os": "windows"}, None, "the base is for windows/amd64"),
        ({"config": {"Env": ["PATH=/bin"]}}, None, "does not say which Python it has"),
        ({"config": {"Env": ["PYTHON_VERSION=3.10.4"]}}, None, "the base has Python 3.10.4"),
        ({"config": {"Env": ["PYTHON_VERSION=new"]}}, None, "the version of its Python is 'new'"),
        ({"rootfs": {"diff_ids": []}}, None, "count its layers differently"),
        ({}, "application/vnd.oci.image.layer.v1.tar+zstd", r"is of type application/vnd.oci.image.layer.v1.tar\+zstd"),
        ({}, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "foreign"),
    ],
)
def test_what_nothing_can_be_built_on_is_refused(
    registry: Registry, blobs: Blobs, config: dict[str, Any], media_type: str | None, message: str
) -> None:
    digest = registry.image(**({"media_type": media_type} if media_type else {}), **config)
    with pytest.raises(ConfigError, match=message):
        resolve(registry, digest, blobs)


def test_an_index_without_this_platform_is_refused(registry: Registry, blobs: Blobs) -> None:
    with pytest.raises(ConfigError, match="no image for linux/amd64"):
        resolve(registry, registry.index(arm64=registry.image()), blobs)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, "it is not an image's manifest: config: Field required"),
        ([], "it is no JSON object"),
        ({"config": {"digest": "sha256:../../../etc/passwd", "size": 1}, "layers": []}, "config.digest"),
        ({"config": {"digest": "sha512:" + "0" * 128, "size": 1}, "layers": []}, "config.digest"),
        ({"manifests": [{"digest": "../x", "size": 1}]}, "manifests.0.digest"),
        ({"manifests": 3}, "it is not an image's index: manifests"),
    ],
)
def test_a_manifest_that_is_none_is_refused(registry: Registry, blobs: Blobs, document: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(registry, registry.manifest(document), blobs)


@pytest.mark.parametrize(
    "text", [b"no json", b"\xff", b"[]", b'{"os": 3}', b'{"config": {"Env": [1]}}', b'{"rootfs": {"diff_ids": ["x"]}}']
)
def test_a_config_that_is_none_is_refused(registry: Registry, blobs: Blobs, text: bytes) -> None:
    digest = registry.manifest({"config": {"digest": registry.blob(text), "size": len(text)}, "layers": []})
    with pytest.raises(ConfigError, match="it is no"):
        resolve(registry, digest, blobs)


def test_an_index_in_an_index_is_refused(registry: Registry, blobs: Blobs) -> None:
    with pytest.raises(ConfigError, match="an index again"):
        resolve(registry, registry.index(amd64=registry.index(amd64=registry.image())), blobs)


def test_the_version_of_python_can_be_said_where_the_base_does_not(registry: Registry, blobs: Blobs) -> None:
    silent = registry.image(config={"Env": ["PATH=/bin"]})
    assert resolve(registry, silent, blobs, python="3.11").python == "3.11"
    telling = registry.image()
    assert resolve(registry, telling, blobs, python="3.12").python == "3.12.7"
    with pytest.raises(ConfigError, match=r"the base has Python 3.12.7, not 3.1\b"):
        resolve(registry, telling, blobs, python="3.1")


def test_bytes_that_are_not_the_digests_are_refused_and_not_kept(registry: Registry, blobs: Blobs) -> None:
    digest = registry.image()
    kind, data = registry.manifests[digest]
    registry.manifests[digest] = (kind, data + b" ")
    with pytest.raises(IntegrityError, match="answers with a manifest of digest"):
        resolve(registry, digest, blobs)
    registry.manifests[digest] = (kind, data)
    found = resolve(registry, digest, blobs)
    name = found.layers[0].digest
    registry.blobs[name] = layer({"usr/local/bin/python": b"#?"})
    with pytest.raises(IntegrityError, match="the bytes have digest"), found.open(name):
        pass
    assert not blobs.path(name).exists()
    assert not list(blobs.folder.glob(".incoming-*"))


def test_what_the_registry_does_not_have_is_named(registry: Registry, blobs: Blobs) -> None:
    missing = "sha256:" + "0" * 64
    with pytest.raises(ConfigError, match=f"manifests/{missing}: the registry does not have it: no such thing"):
        resolve(registry, missing, blobs)
    found = resolve(registry, registry.image(), blobs)
    name = found.layers[1].digest
    del registry.blobs[name]
    with pytest.raises(ConfigError, match=f"blobs/{name}: the registry does not have it"), found.open(name):
        pass


def test_trouble_that_passes_is_waited_out_and_trouble_that_stays_is_said(registry: Registry, blobs: Blobs) -> None:
    digest = registry.image()
    registry.faults, registry.fault_count = {f"manifests/{digest}": 503}, 1
    found = resolve(registry, digest, blobs)
    registry.faults, registry.fault_count = {f"blobs/{found.layers[0].digest}": 500}, -1
    with pytest.raises(PreflightError, match=r"the registry fails \(500\): trouble at the mill"), found.open(found.layers[0].digest):
        pass


@pytest.mark.parametrize("ranges", [True, False])
def test_an_answer_that_breaks_off_is_gone_on_with(registry: Registry, blobs: Blobs, ranges: bool) -> None:
    found = resolve(registry, registry.image(), blobs)
    name = found.layers[1].digest
    registry.ranges, registry.cut_short = ranges, {name: 3}
    with found.open(name) as stream:
        assert stream.read() == registry.blobs[name]


def test_an_answer_that_breaks_off_again_and_again_is_said_and_not_kept(registry: Registry, blobs: Blobs) -> None:
    found = resolve(registry, registry.image(), blobs)
    name = found.layers[1].digest
    registry.cut_short = {name: 4}
    with pytest.raises(PreflightError, match="the registry does not answer"), found.open(name):
        pass
    assert not blobs.path(name).exists()
    assert not list(blobs.folder.glob(".incoming-*"))


def test_blobs_on_another_host_are_asked_for_without_the_token(registry: Registry, blobs: Blobs) -> None:
    registry.elsewhere = True
    found = resolve(registry, registry.image(), blobs)
    with found.open(found.layers[0].digest) as stream:
        assert stream.read() == registry.blobs[found.layers[0].digest]


def test_a_token_that_has_expired_is_replaced(registry: Registry, blobs: Blobs) -> None:
    found = resolve(registry, registry.image(), blobs)
    registry.token = "another"
    with found.open(found.layers[0].digest) as stream:
        assert stream.read() == registry.blobs[found.layers[0].digest]


def test_credentials_are_not_sent_where_others_could_read_them(registry: Registry, blobs: Blobs, docker_config: Path) -> None:
    entry = {"auth": base64.b64encode(b"ann:secret").decode()}
    (docker_config / "config.json").write_text(json.dumps({"auths": {f"127.0.0.1:{registry.port}": entry}}))
    registry.realm = "http://registry.example.com/token"
    with pytest.raises(PreflightError, match="credentials sent unencrypted"):
        resolve(registry, registry.image(), blobs)


def test_a_registry_that_is_not_there_is_said(blobs: Blobs) -> None:
    with pytest.raises(PreflightError, match="the registry does not answer"):
        base.resolve("127.0.0.1:9/x@sha256:" + "0" * 64, blobs=blobs)


@pytest.mark.parametrize("challenge", ["Bearer", "Basic"])
def test_credentials_come_from_dockers_config(registry: Registry, blobs: Blobs, docker_config: Path, challenge: str) -> None:
    registry.login, registry.challenge = ("ann", "secret"), challenge
    digest = registry.image()
    with pytest.raises(PreflightError) as raised:
        resolve(registry, digest, blobs)
    assert f"docker login 127.0.0.1:{registry.port}" in str(raised.value.remedy)
    entry = {"auth": base64.b64encode(b"ann:secret").decode()}
    (docker_config / "config.json").write_text(json.dumps({"auths": {f"127.0.0.1:{registry.port}": entry}}))
    assert resolve(registry, digest, blobs).python == "3.12.7"


def test_credentials_come_from_dockers_credential_store(
    registry: Registry, blobs: Blobs, docker_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "bin" / "docker-credential-tests"
    helper.parent.mkdir()
    helper.write_text(
        '#!/bin/sh\nread server\necho "{\\"ServerURL\\": \\"$server\\", \\"Username\\": \\"ann\\", \\"Secret\\": \\"secret\\"}"\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(helper.parent), prepend=":")
    (docker_config / "config.json").write_text(json.dumps({"credsStore": "tests"}))
    registry.login = ("ann", "secret")
    assert resolve(registry, registry.image(), blobs).python == "3.12.7"
    (docker_config / "config.json").write_text(json.dumps({"credsStore": "no-such-store"}))
    with pytest.raises(LockstepError, match="Docker's credentials can't be read"), pytest.warns(UserWarning, match="not available in PATH"):
        resolve(registry, registry.image(tag="other", created="later"), blobs)
