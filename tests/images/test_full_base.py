"""Images on a full base: the base's layers as they are, below the packages and the code."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from infra.errors import ConfigError, LockstepError, UsageError
from lockstep import definitions
from lockstep.images import base, settings
from lockstep.images.base import Base
from lockstep.images.blobs import Blobs, digest_of
from lockstep.images.image import Image
from lockstep.images.sources import toolkit_image, workload_image
from tests.images.registry import Registry
from tests.images.wheels import lock, wheel

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project with locks that name one small wheel, and a cache of its own."""
    root, shelf = tmp_path / "project", tmp_path / "shelf"
    for part in ("infra", "pipelines", "workloads"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shelf.mkdir()
    text = lock(wheel(shelf, "plain", "py3-none-any", {"plain.py": ""}))
    for path in root.rglob("requirements.lock"):
        path.write_bytes(text)
    monkeypatch.setenv("UV_FIND_LINKS", str(shelf))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return root


@pytest.fixture
def full(registry: Registry, blobs: Blobs) -> Base:
    return base.resolve(f"{registry.name}@{registry.image()}", blobs=blobs)


def content(image: Image, digest: str) -> bytes:
    (blob,) = (each for each in image.blobs if each.digest == digest)
    with blob.open() as stream:
        return stream.read()


def config(image: Image) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(content(image, json.loads(image.manifest)["config"]["digest"]))
    return document


def test_the_bases_layers_are_below_as_they_are_and_every_layer_is_what_the_config_says(
    project: Path, full: Base, registry: Registry
) -> None:
    image = workload_image(project, "mortgage", base=full)
    layers = json.loads(image.manifest)["layers"]
    assert [layer["digest"] for layer in layers[:2]] == [layer.digest for layer in full.layers]
    assert {layer["mediaType"] for layer in layers} == {"application/vnd.docker.image.rootfs.diff.tar.gzip"}, (
        "OCI's name for the same bytes"
    )
    assert content(image, layers[0]["digest"]) == registry.blobs[layers[0]["digest"]]
    unpacked = [digest_of(gzip.decompress(content(image, layer["digest"]))) for layer in layers]
    found = config(image)
    assert found["rootfs"]["diff_ids"] == unpacked
    assert [layer["size"] for layer in layers] == [len(content(image, layer["digest"])) for layer in layers]
    assert sum(not entry.get("empty_layer") for entry in found["history"]) == len(layers)


def test_programs_are_found_in_the_image_first_and_the_rest_is_the_bases(project: Path, full: Base) -> None:
    about = config(workload_image(project, "mortgage", base=full))["config"]
    environment = dict(entry.split("=", 1) for entry in about["Env"])
    assert environment["PATH"] == "/opt/program/bin:/opt/program/packages/bin:/usr/local/bin:/usr/bin:/bin"
    assert environment["PYTHONPATH"] == "/opt/program:/opt/program/packages"
    assert (environment["LANG"], environment["LOCKSTEP_WORKLOAD"]) == ("C.UTF-8", "mortgage")
    assert (about["Cmd"], about["WorkingDir"]) == (["serve"], "/opt/program")
    assert "Entrypoint" not in about, "the base's would get `train` and `serve` as arguments"


def test_modules_that_the_base_brings_on_a_path_of_its_own_come_last(project: Path, registry: Registry, blobs: Blobs) -> None:
    digest = registry.image(config={"Env": ["PYTHON_VERSION=3.12.7", "PYTHONPATH=/base"]})
    about = config(toolkit_image(project, base=base.resolve(f"{registry.name}@{digest}", blobs=blobs)))["config"]
    assert "PYTHONPATH=/opt/program:/opt/program/packages:/base" in about["Env"]
    assert [each.partition("=")[0] for each in about["Env"]] == ["PYTHON_VERSION", "PYTHONPATH", "PATH", "PYTHONUNBUFFERED"]


def test_labels_name_the_base_by_digest_and_tell_the_code_from_it(project: Path, full: Base) -> None:
    labels = config(workload_image(project, "mortgage", base=full))["config"]["Labels"]
    assert labels["dev.lockstep.base"] == full.name
    assert labels["dev.lockstep.code-layers"] == "3"
    assert labels["dev.lockstep.environment"] == "LOCKSTEP_WORKLOAD PATH PYTHONPATH PYTHONUNBUFFERED"
    assert labels["maintainer"] == "somebody"


def test_the_same_source_and_base_give_the_same_image_on_another_machine(
    project: Path, full: Base, registry: Registry, tmp_path: Path
) -> None:
    elsewhere = Blobs(tmp_path / "elsewhere" / "blobs")
    through_an_index = base.resolve(f"{registry.name}@{registry.index(amd64=full.name.split('@')[1])}", blobs=elsewhere)
    assert toolkit_image(project, base=through_an_index).manifest == toolkit_image(project, base=full).manifest
    other = base.resolve(f"{registry.name}@{registry.image(created='another day')}", blobs=elsewhere)
    assert toolkit_image(project, base=other).digest != toolkit_image(project, base=full).digest


def test_a_change_of_code_leaves_the_layer_of_packages_alone(project: Path, full: Base) -> None:
    before = json.loads(workload_image(project, "mortgage", base=full).manifest)["layers"]
    (project / "workloads/mortgage/gates.yaml").write_text("gates: []")
    after = json.loads(workload_image(project, "mortgage", base=full).manifest)["layers"]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True] * 5 + [False]


def test_images_yaml_says_what_images_stand_on(project: Path, registry: Registry) -> None:
    assert settings.base_of(project) is None
    shutil.copytree(project / "workloads" / "mortgage", project / "workloads" / "rehearsed")
    named, other = (f"{registry.name}@{registry.image(created=day)}" for day in ("monday", "tuesday"))
    (project / "images.yaml").write_text(f"base: {named}\nworkloads:\n  mortgage: {{base: '{other}'}}\n  rehearsed: {{base: host}}\n")
    found = [settings.base_of(project, name) for name in ("", "mortgage", "rehearsed", "any")]
    assert [each.name if each else None for each in found] == [named, other, None, named]
    text = json.loads(definitions.toolkit_text(project))
    assert text == {"base": named, "digest": toolkit_image(project, base=found[0]).digest}


def test_what_a_workload_leaves_out_is_as_the_file_has_it(project: Path) -> None:
    text = "base: one@sha256:1\npython: '3.12'\nworkloads:\n  mortgage: {}\n"
    for own, expected in (
        ("{}", ("one@sha256:1", "3.12")),
        ("{python: '3.11'}", ("one@sha256:1", "3.11")),
        ("{base: host}", ("host", "")),
        ("{base: two@sha256:2, python: '3.13'}", ("two@sha256:2", "3.13")),
    ):
        (project / "images.yaml").write_text(text.replace("{}", own))
        choice = settings.load(project).choice("mortgage")
        assert (choice.base, choice.python) == expected


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("bases: host", ConfigError, "unknown key 'bases'; did you mean 'base'?"),
        ("colour: blue", ConfigError, "unknown key 'colour'; known: base, python, workloads"),
        ("workloads: {mortgage: {pyton: '3'}}", ConfigError, "unknown key 'workloads.mortgage.pyton'; did you mean 'python'?"),
        ("workloads: {morgage: {base: host}}", ConfigError, "there is no workload 'morgage'; did you mean 'mortgage'?"),
        ("base: [", ConfigError, "it can't be read: "),
        ("base: 3", ConfigError, "base: Input should be a valid string"),
        ("base: not a name", UsageError, "'not a name' does not name an image"),
    ],
)
def test_a_wrong_images_yaml_is_refused_in_a_sentence(project: Path, text: str, error: type[LockstepError], message: str) -> None:
    (project / "images.yaml").write_text(text)
    with pytest.raises(error) as caught:
        settings.base_of(project)
    assert caught.value.message.startswith(message)
    assert "\n" not in caught.value.message
