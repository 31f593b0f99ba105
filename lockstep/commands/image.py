"""`lockstep image`: build and push the images that jobs and endpoints run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockstep.context import EnvironmentName, Json, console, emit, errors, outputs, project_root, session

if TYPE_CHECKING:
    from infra.outputs import EnvironmentOutputs
    from lockstep.images.image import Image

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Build and push container images.")

Workload = Annotated[str, typer.Argument(help="Folder name under workloads/.")]
Toolkit = Annotated[bool, typer.Option("--toolkit", help="The image of the toolkit's own code instead of a workload's.")]
Base = Annotated[
    str,
    typer.Option("--base", help="What the image stands on: host, or REGISTRY/REPOSITORY@sha256:...; left out, what images.yaml says."),
]
BasePython = Annotated[str, typer.Option("--base-python", help="Version of the Python of --base, where the base does not say it.")]
Overlay = Annotated[Path | None, typer.Option("--overlay", help="A folder whose files replace or join those of the workload.")]


@app.command()
def build(
    workload: Workload = "",
    toolkit: Toolkit = False,
    base: Base = "",
    base_python: BasePython = "",
    overlay: Overlay = None,
    as_json: Json = False,
) -> None:
    """Build an image and print its digest: the same source and base give the same digest. Nothing leaves this machine.

    \b
    Example: lockstep image build mortgage
    """
    for name, image in _images(workload, toolkit, (base, base_python), overlay, both=False):
        if as_json:
            emit({"image": name, "digest": image.digest, "tag": image.tag, "bytes": image.size, "labels": dict(image.labels)})
        else:
            console.print(f"{name}  {image.digest}  {image.size:,} bytes")


@app.command()
def push(
    environment: EnvironmentName,
    workload: Workload = "",
    toolkit: Toolkit = False,
    base: Base = "",
    base_python: BasePython = "",
    overlay: Overlay = None,
    as_json: Json = False,
) -> None:
    """Build an image and push it to an environment's repository. Without a name: the environment's workload and the toolkit.

    \b
    Example: lockstep image push dev mortgage
    """
    from lockstep.images.push import push as push_image

    found = outputs(environment)
    client = session(environment).client("ecr")
    done = []
    images = _images(workload, toolkit, (base, base_python), overlay, both=not workload and not toolkit, default=found.workload)
    for name, image in images:  # all, before the first is pushed
        _check_base(name, image, found)
        if name == "toolkit":
            _check_toolkit(image)
    for name, image in images:
        repository = found.repositories.toolkit if name == "toolkit" else found.repositories.workload
        if not as_json:
            console.print(f"{name} -> {repository.uri}")
        push_image(client, repository.name, image, (lambda _: None) if as_json else (lambda line: console.print(f"  {line}")))
        done.append({"image": name, "digest": image.digest, "tag": image.tag, "uri": f"{repository.uri}@{image.digest}"})
        if not as_json:
            console.print(f"  {image.digest}  tag {image.tag}")
    if as_json:
        emit(done)


def _images(
    workload: str, toolkit: bool, base: tuple[str, str], overlay: Path | None, *, both: bool, default: str = ""
) -> list[tuple[str, Image]]:
    from infra.errors import UsageError
    from lockstep import workload_files
    from lockstep.images import settings
    from lockstep.images.sources import toolkit_image, workload_image

    name = workload or (default if both else "")
    if toolkit and (workload or overlay):
        raise UsageError("--toolkit takes neither a workload nor an overlay", remedy="Name one of them.")
    if not name and not toolkit:
        raise UsageError("which image?", remedy="Name a workload, or say --toolkit.")
    if base[1] and not base[0]:
        raise UsageError(
            "--base-python belongs to a --base", where="--base-python", remedy="Name the base too, or write both into images.yaml."
        )
    root = project_root()
    found = []
    with errors.status("Building; the packages of a new lock take a while"):
        given = [settings.resolve(*base)] if base[0] else []
        if name:
            if (root / "workloads" / name / "workload.yaml").is_file():
                workload_files.check(root / "workloads" / name, overlay)
            found.append((name, workload_image(root, name, base=given[0] if given else settings.base_of(root, name), overlay=overlay)))
        if toolkit or both:
            found.append(("toolkit", toolkit_image(root, base=given[0] if given else settings.base_of(root))))
    return found


def _check_base(name: str, image: Image, found: EnvironmentOutputs) -> None:
    """What no job here could run, or promotion would refuse later, is not pushed."""
    from infra.errors import ConfigError
    from lockstep.images.settings import FILE

    if image.base is None and not found.promotion.allow_host_base:
        raise ConfigError(
            f"{found.environment} takes no image whose base is the host, and that of {name} is",
            where=FILE,
            remedy="Name a full base by digest there (docs/aws.md), then run `lockstep pipeline compile --toolkit` and `pulumi up`.",
        )


def _check_toolkit(image: Image) -> None:
    from infra.errors import ConfigError
    from lockstep.definitions import TOOLKIT, committed_toolkit_digest

    committed = committed_toolkit_digest(project_root())
    if committed != image.digest:
        raise ConfigError(
            f"the toolkit's code is {image.digest[:19]}, the pipelines name {committed[:19]}",
            where=TOOLKIT,
            remedy="Run `lockstep pipeline compile`, then `pulumi up`, then push again. Its base is the one in images.yaml.",
        )
