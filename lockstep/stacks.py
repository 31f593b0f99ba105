"""Makes stacks ready for plain `pulumi` commands, without touching a tracked file.

The engine writes how a stack's secrets are encrypted into the stack's config file: it would change `stacks/Pulumi.<env>.yaml`, a
tracked file that serves every target. So each target has a file of its own for that (PULUMI_OPTION_CONFIG_FILE), and the
program reads an environment's values from its stack file itself. `pulumi stack init` knows no such option: it runs in a
scratch project of the same name, and what it makes lies in the backend alone.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import LockstepError

if TYPE_CHECKING:
    from local.engine.locate import Engine

PROJECT = "lockstep"
# What lies in a home beside the state, and what the command line puts into each: the cloud's start, the rehearsal's engine, AWS's stacks.
_KEPT = {"cloud": "start.lock", "pulumi": "passphrase", "aws": "*/secrets.yaml"}
_HEADER = "# How Pulumi encrypts the secrets of these stacks. The environments' values are in stacks/Pulumi.<environment>.yaml.\n"


@dataclass(frozen=True)
class Backend:
    """Where stacks live.

    Attributes:
        url: of the state, as in PULUMI_BACKEND_URL.
        secrets_file: the engine's config file for all stacks of this backend.
        variables: what else the engine must be told: PULUMI_HOME, the passphrase.
    """

    url: str
    secrets_file: Path
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The variables with which plain `pulumi` works on this backend."""
        return {
            "PULUMI_BACKEND_URL": self.url,
            "PULUMI_OPTION_CONFIG_FILE": str(self.secrets_file),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            **self.variables,
        }


def rehearsal(home: Path) -> Backend:
    """The backend of the embedded cloud whose state is in `home`: all in folders there, encrypted by a passphrase made here."""
    pulumi_home = home / "pulumi"
    pulumi_home.mkdir(parents=True, exist_ok=True)
    state = home / "state"
    state.mkdir(exist_ok=True)
    passphrase = pulumi_home / "passphrase"
    if not passphrase.is_file():
        fresh = pulumi_home / f".passphrase.{os.getpid()}"
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_hex(16))
        try:
            os.link(fresh, passphrase)  # whoever is first wins
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    variables = {"PULUMI_HOME": str(pulumi_home), "PULUMI_CONFIG_PASSPHRASE": passphrase.read_text()}
    return Backend(state.as_uri(), pulumi_home / "secrets.yaml", variables)


def prepare_rehearsal(home: Path, engine: Engine, stack_names: Iterable[str]) -> Backend:
    """Everything plain `pulumi` needs in the rehearsal: plugins, and a stack for each stack file."""
    from local.engine import language_plugin
    from local.provider.plugin import install as install_provider

    backend = rehearsal(home)
    pulumi_home = home / "pulumi"
    with _lock(pulumi_home / ".lock"):
        install_provider(pulumi_home, engine.pulumi, python=Path(sys.executable))
        if not engine.has_language_host:
            language_plugin.install(pulumi_home)
        existing = {path.stem for path in (home / "state" / ".pulumi" / "stacks" / PROJECT).glob("*.json")}
        for name in stack_names:
            if name not in existing:
                create_stack(backend, engine, name)
    return backend


def forget_rehearsal(home: Path) -> bool:
    """Drops the state of all stacks: the embedded cloud that held their resources is gone. Whether there was any."""
    state = home / "state"
    known = any((state / ".pulumi" / "stacks").glob("*/*.json"))
    shutil.rmtree(state / ".pulumi", ignore_errors=True)
    _remove_if_empty(state)
    return known


def forget_all(home: Path) -> list[str]:
    """Removes from `home` what the command line keeps there, and `home` itself if nothing else is in it. What was removed.

    The folder may be any that LOCKSTEP_HOME names, so a folder in it goes only with the file in it that the command line puts there first.
    """
    kept = (home / "state").is_dir()
    forget_rehearsal(home)
    removed = ["state"] if kept and not (home / "state").exists() else []
    for name, first in _KEPT.items():
        if any((home / name).glob(first)):
            shutil.rmtree(home / name)
            removed.append(name)
    _remove_if_empty(home)
    return sorted(removed)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def create_stack(backend: Backend, engine: Engine, name: str, secrets_provider: str = "passphrase") -> None:
    """Creates an empty stack in the backend. The first one also makes the backend's secrets file, which the others then share."""
    with tempfile.TemporaryDirectory(prefix="lockstep-stack-") as scratch:
        Path(scratch, "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
        config = Path(scratch, f"Pulumi.{name}.yaml")
        if backend.secrets_file.is_file():
            shutil.copyfile(backend.secrets_file, config)
        pulumi(
            engine,
            backend,
            ["stack", "init", name, "--non-interactive", "--no-select", "--secrets-provider", secrets_provider],
            Path(scratch),
        )
        if not backend.secrets_file.is_file():
            backend.secrets_file.write_text(_HEADER + config.read_text())


def pulumi(engine: Engine, backend: Backend, arguments: list[str], folder: Path, extra: dict[str, str] | None = None) -> str:
    """Runs the engine and returns what it printed. LockstepError with its words if it fails."""
    environment = {**os.environ, **backend.environment(), **(extra or {})}
    if arguments[:2] == ["stack", "init"]:
        del environment["PULUMI_OPTION_CONFIG_FILE"]
    command = [str(engine.pulumi), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LockstepError((done.stderr.strip() or done.stdout.strip()).removeprefix("error: "), where=f"pulumi {' '.join(arguments)}")
    return done.stdout


def search_path(engine: Engine) -> str:
    """PATH with the engine and this interpreter's commands first, and nothing twice."""
    from local.engine.locate import foreign_path

    first = [str(engine.pulumi.parent), str(Path(sys.executable).parent)]
    rest = [folder for folder in foreign_path().split(os.pathsep) if folder not in first]
    return os.pathsep.join(first + rest)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
