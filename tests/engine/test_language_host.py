"""Our language host, as the engine uses it: by itself over gRPC, and under a real engine where the machine has one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from local.engine import language_plugin, locate

HOST = language_plugin.HOST
DEADLINE = 60.0


@contextmanager
def host() -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """A running host and a stub that calls it."""
    process = subprocess.Popen(
        [sys.executable, str(HOST), "-root=/tmp", "127.0.0.1:1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
            yield process, language_pb2_grpc.LanguageRuntimeStub(channel)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def run_plugin(stub: Any, folder: Path, **request: Any) -> tuple[str, str, int]:
    info = language_pb2.ProgramInfo(root_directory=str(folder), program_directory=str(folder), entry_point=".")
    out, err, status = b"", b"", -1
    for part in stub.RunPlugin(language_pb2.RunPluginRequest(info=info, pwd=str(folder), **request), timeout=DEADLINE):
        out, err = out + part.stdout, err + part.stderr
        if part.WhichOneof("output") == "exitcode":
            status = part.exitcode
    return out.decode(), err.decode(), status


def test_it_answers_questions_without_importing_the_sdk() -> None:
    with host() as (process, stub):
        about = stub.About(language_pb2.AboutRequest(), timeout=DEADLINE)
        assert about.executable == sys.executable
        assert list(stub.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest(), timeout=DEADLINE).packages) == []
        dependencies = stub.GetProgramDependencies(language_pb2.GetProgramDependenciesRequest(), timeout=DEADLINE).dependencies
        assert "pulumi" in {dependency.name for dependency in dependencies}
        stub.Handshake(language_pb2.LanguageHandshakeRequest(engine_address="127.0.0.1:2"), timeout=DEADLINE)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out, err) == (0, "", "")


def test_the_sdk_waits_until_a_program_runs() -> None:
    """The engine starts hosts it only asks something; importing the SDK would double their start."""
    loaded = "import runpy, sys; runpy.run_path(sys.argv[1]); print('pulumi' in sys.modules, 'pulumi.runtime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded, str(HOST)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_plugin_s_output_comes_as_it_is_written_and_ends_with_its_status(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text(
        "import os, sys\nprint('arguments', sys.argv[1:], os.environ['COLOUR'], os.getcwd())\nprint('oh', file=sys.stderr)\nsys.exit(7)\n"
    )
    with host() as (_, stub):
        out, err, status = run_plugin(
            stub, tmp_path, args=["a", "b c"], env=[*(f"{k}={v}" for k, v in os.environ.items()), "COLOUR=blue=ish"]
        )
    assert out == f"arguments ['a', 'b c'] blue=ish {tmp_path}\n"
    assert (err, status) == ("oh\n", 7)


def test_a_plugin_ends_with_the_call(tmp_path: Path) -> None:
    """When the engine lets go, nothing is left running."""
    os.mkfifo(tmp_path / "alive")
    (tmp_path / "__main__.py").write_text("pipe = open('alive', 'w')\nimport os; os.write(1, b'ready\\n')\nimport signal; signal.pause()\n")
    with host() as (_, stub):
        info = language_pb2.ProgramInfo(program_directory=str(tmp_path), entry_point=".")
        call = stub.RunPlugin(language_pb2.RunPluginRequest(info=info, pwd=str(tmp_path)), timeout=DEADLINE)
        with (tmp_path / "alive").open() as alive:
            assert next(call).stdout == b"ready\n"
            call.cancel()
            assert alive.read() == ""  # its end closes the pipe


def test_a_program_for_another_environment_is_refused(tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    options = struct_pb2.Struct()
    options.update({"virtualenv": "venv"})
    info = language_pb2.ProgramInfo(root_directory=str(tmp_path), program_directory=str(tmp_path), entry_point=".", options=options)
    with host() as (_, stub):
        answer = stub.Run(language_pb2.RunRequest(info=info, pwd=str(tmp_path)), timeout=DEADLINE)
    assert str(tmp_path / "venv") in answer.error
    assert sys.prefix in answer.error


def test_it_is_installed_once_and_again_when_the_interpreter_changes(tmp_path: Path) -> None:
    first = language_plugin.install(tmp_path)
    written = first.stat().st_mtime_ns
    assert os.access(first, os.X_OK)
    assert language_plugin.install(tmp_path).stat().st_mtime_ns == written
    assert "/other/python" in language_plugin.install(tmp_path, Path("/other/python")).read_text()


class Project:
    """A Pulumi project in a folder, and a backend beside it."""

    def __init__(self, folder: Path, engine: locate.Engine) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        (self.folder / "Pulumi.yaml").write_text("name: trial\nruntime: python\n")
        language_plugin.install(folder / "home")
        (folder / "state").mkdir()
        self.engine = engine
        # Without a host on PATH: an official one there would be used instead.
        self.environment = {name: value for name, value in os.environ.items() if name != "PATH"} | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "trial",
        }

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.engine.pulumi), *arguments, "--non-interactive"]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=DEADLINE, check=False)

    def up(self, program: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "__main__.py").write_text(program)
        return self.pulumi("up", "--yes", "--skip-preview", "--stack", "trial")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    engine = locate.find()
    if engine is None:
        pytest.skip("no Pulumi engine on this machine; `make setup` gets one")
    if engine.has_language_host:
        pytest.skip("the official language host is installed beside the engine, and is the one that runs")
    made = Project(tmp_path_factory.mktemp("trial"), engine)
    assert made.pulumi("stack", "init", "trial").returncode == 0
    return made


def test_programs_run_and_the_engine_warns_of_nothing(project: Project) -> None:
    (project.folder / "beside.py").write_text("WORD = 'beside'\n")
    ran = project.up(
        "import asyncio, pulumi\nimport beside\nprint('printed', __name__)\n"
        "async def late():\n    await asyncio.sleep(0)\n    return beside.WORD\n"
        "pulumi.export('late', pulumi.Output.from_input(late()))\npulumi.export('hidden', pulumi.Output.secret('s3cret'))\n"
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "printed __main__" in ran.stdout
    assert "warning" not in (ran.stdout + ran.stderr).lower()
    assert "s3cret" not in ran.stdout
    assert json.loads(project.pulumi("stack", "output", "--json", "--show-secrets", "--stack", "trial").stdout) == {
        "late": "beside",
        "hidden": "s3cret",
    }


def test_a_fault_of_the_program_shows_its_own_frames_alone(project: Project) -> None:
    ran = project.up("def inner():\n    raise ValueError('boom')\n\ninner()\n")
    assert ran.returncode != 0
    shown = ran.stdout[ran.stdout.index("Traceback") :]
    assert "ValueError: boom" in shown
    assert "in inner\n" in shown
    assert "runpy" not in shown
    assert "program_run" not in shown


def test_a_run_error_is_its_message_and_no_traceback(project: Project) -> None:
    ran = project.up("import pulumi\nraise pulumi.RunError('stacks/x.yaml: the key is wrong')\n")
    assert ran.returncode != 0
    assert "stacks/x.yaml: the key is wrong" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(("status", "ok"), [("0", True), ("3", False)])
def test_a_program_that_exits_is_believed(project: Project, status: str, ok: bool) -> None:
    ran = project.up(f"import sys\nsys.exit({status})\n")
    assert (ran.returncode == 0) is ok
    assert ("status 3" in ran.stdout + ran.stderr) is not ok


def test_an_engine_that_is_killed_takes_its_host_along(project: Project) -> None:
    os.mkfifo(project.folder / "alive")
    (project.folder / "__main__.py").write_text("import signal, threading\npipe = open('alive', 'w')\nthreading.Event().wait()\n")
    command = [str(project.engine.pulumi), "preview", "--stack", "trial", "--non-interactive"]
    engine = subprocess.Popen(command, cwd=project.folder, env=project.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with (project.folder / "alive").open() as alive:  # opens when the program runs
        engine.kill()
        engine.wait()
        assert alive.read() == ""  # the host's end closes the pipe
    shutil.rmtree(project.folder / "__pycache__", ignore_errors=True)
