"""The container runtime: `prepare` an image by digest, `spawn` processes of it.

An image's files are unpacked once, the environment that its lock names is made once, and the program runs as a process of this machine
with that environment's Python first on PATH. Of an image on a full base this takes the layers of code alone, as its labels count them:
the base and the packages that were installed for it are never unpacked or run. AWS's scikit-learn container is run by programs of ours.
Anything else would need a container engine and is refused with the reason.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from local.cloud.containers import prebuilt, venvs
from local.cloud.containers.images import Image, ImageError, ImageReference, ImageStore
from local.cloud.containers.logs import LogShipper, LogStream
from local.cloud.containers.paths import ML, PROGRAM, PathMap
from local.cloud.containers.process import ContainerProcess
from local.cloud.iam.rights import lacking, pull_needs

if TYPE_CHECKING:
    from local.cloud.context import Cloud

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class PreparedImage:
    """An image ready to run: what it is, and, unless it is one of AWS's that we stand in for, its files and its environment."""

    uri: str
    digest: str
    image: Image | None
    venv: Path | None


_runtimes: WeakKeyDictionary[Cloud, ContainerRuntime] = WeakKeyDictionary()
_making = threading.Lock()


def runtime_of(cloud: Cloud) -> ContainerRuntime:
    """The container runtime of a cloud: one, made when it is first asked for."""
    with _making:
        found = _runtimes.get(cloud)
        if found is None:
            found = _runtimes[cloud] = ContainerRuntime(cloud)
            cloud.shutdown_hooks.append(found.close)
        return found


class ContainerRuntime:
    """Runs containers of one cloud. All of its processes end with the cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._images = ImageStore(cloud.home / "images")
        self._guard = threading.Lock()
        self._clients: dict[tuple[str, ...], Any] = {}
        self.logs = LogShipper(
            cloud.home / "logs", lambda account, region, role: self.client("logs", account, region, role), cloud.clock.time
        )

    def client(self, service: str, account: str, region: str, role_arn: str | None = None) -> Any:
        """A boto3 client in an account, as the service itself or as a role; kept, since making one takes longer than most calls.

        Raises local.errors.RoleNotAssumable for a role that is not there or does not trust SageMaker.
        """
        key = (service, account, region, role_arn or "")
        with self._guard:
            found = self._clients.get(key)
        if found is None:
            found = self._cloud.session(account, region, role_arn).client(service)
            with self._guard:
                found = self._clients.setdefault(key, found)
        return found

    def prepare(self, image_uri: str, *, account: str, region: str, role_arn: str | None = None) -> PreparedImage:
        """Pull, unpack and install what `image_uri` names, with the rights of the role. Raises ImageError with the reason."""
        reference = ImageReference.parse(image_uri)
        of_aws = prebuilt.is_scikit_learn(reference)
        refused = lacking(self._cloud, role_arn, region, pull_needs(reference, account, of_aws))
        if refused is not None:
            raise ImageError(
                f"Cannot pull algorithm container. Either the image does not exist or its permissions are incorrect. {image_uri}: {refused}"
            )
        if of_aws:
            return PreparedImage(image_uri, reference.digest or "", None, None)
        image = self._images.pull(reference, self.client("ecr", account, reference.region, role_arn))
        if not image.can_run_here:
            base = image.base or "a base of its own"
            raise ImageError(
                f"{image_uri} is built on {base} and does not say which of its layers are code; "
                "without a container engine only such images can run, and those whose base is the host."
            )
        lock = image.rootfs / PROGRAM.lstrip("/") / "requirements.lock"
        return PreparedImage(image_uri, image.digest, image, venvs.ensure(lock.read_text() if lock.exists() else ""))

    def spawn(
        self,
        prepared: PreparedImage,
        *,
        command: Sequence[str] = (),
        entrypoint: Sequence[str] | None = None,
        environment: Mapping[str, str],
        base_dir: Path,
        credentials: Mapping[str, str] | None = None,
        log: Callable[[str], None],
        on_exit: Callable[[ContainerProcess], None] | None = None,
    ) -> ContainerProcess:
        """Run `entrypoint` (the image's own where None) with `command`, for example ["serve"], as Docker combines the two.

        `base_dir` stands for /opt/ml. `credentials` are the variables that the process finds its role's keys in; None for a container that
        is isolated from the network. `log` gets each line of output. Raises ImageError where the program can't be started.
        """
        scratch = self._cloud.home / "tmp" / secrets.token_hex(4)
        for folder in (scratch / "tmp", scratch / "home", base_dir):
            folder.mkdir(parents=True, exist_ok=True)
        paths, variables = self._environment(prepared, environment, base_dir, scratch)
        variables |= credentials or {}
        arguments = [paths.text(argument) for argument in self._arguments(prepared, entrypoint, command)]
        try:
            return ContainerProcess(
                self._cloud.processes, arguments, variables, self._folder(prepared, paths, base_dir), log, scratch, on_exit
            )
        except OSError as error:
            shutil.rmtree(scratch, ignore_errors=True)
            program = arguments[0] if arguments else ""
            raise ImageError(f"{prepared.uri}: its program {program!r} can't be started: {error.strerror}.") from error

    def stream(self, account: str, region: str, group: str, name: str, role_arn: str | None = None) -> LogStream:
        """A log stream, written with the rights of a role, to hand to `spawn` as `log`; `finish` it when the process has ended."""
        return self.logs.stream(account, region, group, name, role_arn)

    def finish(self, stream: LogStream) -> None:
        self.logs.finish(stream)

    def close(self) -> None:
        """End the log thread; the processes themselves end with the cloud's."""
        self.logs.close()
        with _making:
            _runtimes.pop(self._cloud, None)

    def _environment(
        self, prepared: PreparedImage, given: Mapping[str, str], base_dir: Path, scratch: Path
    ) -> tuple[PathMap, dict[str, str]]:
        """What the process sees, and nothing of the cloud's own environment: the image's variables, then the caller's."""
        program = prepared.image.rootfs / PROGRAM.lstrip("/") if prepared.image else scratch / "program"
        paths = PathMap({ML: base_dir, PROGRAM: program})
        own = prepared.image.environment if prepared.image else {}
        own.update(given)
        variables = {name: paths.text(value) for name, value in own.items()}
        python = prepared.venv / "bin" if prepared.venv else Path(sys.executable).parent
        variables["PATH"] = os.pathsep.join([str(python), *filter(None, [variables.get("PATH")]), SYSTEM_PATH])
        defaults = {"HOME": str(scratch / "home"), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "AWS_EC2_METADATA_DISABLED": "true"}
        fixed = {"TMPDIR": str(scratch / "tmp"), "SAGEMAKER_BASE_DIR": str(base_dir), "PYTHONNOUSERSITE": "1"}
        return paths, {**defaults, **variables, **fixed}

    def _arguments(self, prepared: PreparedImage, entrypoint: Sequence[str] | None, command: Sequence[str]) -> list[str]:
        if prepared.image is None:
            if entrypoint:
                return [*entrypoint, *command]
            if list(command) not in (["serve"], ["train"]):
                raise ImageError(f"{prepared.uri} runs as a job of its own only with an entry point.")
            return prebuilt.command(command[0])
        if entrypoint:
            return [*entrypoint, *command]
        config = prepared.image.config
        arguments = [*(config.get("Entrypoint") or []), *(command or config.get("Cmd") or [])]
        if not arguments:
            raise ImageError(f"{prepared.uri} names no program, and none was given.")
        return arguments

    def _folder(self, prepared: PreparedImage, paths: PathMap, base_dir: Path) -> Path:
        wanted = Path(paths.text((prepared.image.config.get("WorkingDir") or "") if prepared.image else ""))
        return wanted if wanted.is_absolute() and wanted.is_dir() and str(wanted) != "/" else base_dir
