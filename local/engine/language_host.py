"""A Python language host for the Pulumi engine, used where the official one is missing.

The engine starts it from PATH as `pulumi-language-python [OPTION...] ENGINE_ADDRESS` and reads a port from the first line of its
output; the calls it answers are those of Pulumi's `language.proto`. The engine starts a host twice in each command, often only to
ask a question, so nothing is imported before the port is printed but gRPC and the message classes: the SDK itself waits
until a program is run. A program runs in this process, which saves the start of a second one.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import grpc

MESSAGES = "lockstep_pulumi_messages"


def _load_messages() -> tuple[ModuleType, ModuleType]:
    """Pulumi's message classes, without what importing the package `pulumi` costs (0.4 s)."""
    found = importlib.util.find_spec("pulumi")
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"pulumi-language-python: the package pulumi is not installed for {sys.executable}")
    package = ModuleType(MESSAGES)
    package.__path__ = [str(Path(folder) / "runtime" / "proto") for folder in found.submodule_search_locations]
    sys.modules[MESSAGES] = package
    return importlib.import_module(f"{MESSAGES}.language_pb2"), importlib.import_module(f"{MESSAGES}.language_pb2_grpc")


language, language_grpc = _load_messages()
plugin = sys.modules[f"{MESSAGES}.plugin_pb2"]
empty = importlib.import_module("google.protobuf.empty_pb2")


class WrongEnvironment(Exception):
    """The project asks for a virtual environment that is not the one this host runs in."""


class _Context(Protocol):
    def add_callback(self, callback: Any) -> bool: ...


class LanguageHost(language_grpc.LanguageRuntimeServicer):  # type: ignore[misc, name-defined]
    """Answers the engine. Method names, requests and responses are those of Pulumi's language.proto."""

    def __init__(self, engine_address: str) -> None:
        self.engine_address = engine_address

    def Handshake(self, request: Any, context: _Context) -> Any:
        self.engine_address = request.engine_address
        return language.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: _Context) -> Any:
        return plugin.PluginInfo(version="1.0.0")

    def GetRequiredPackages(self, request: Any, context: _Context) -> Any:
        """None ahead of the run: the engine fetches a plugin when the first resource asks for it. (The official host lists all packages
        that are installed, and so has the engine fetch plugins that a program never uses.)"""
        return language.GetRequiredPackagesResponse()

    def GetRequiredPlugins(self, request: Any, context: _Context) -> Any:
        return language.GetRequiredPluginsResponse()

    def About(self, request: Any, context: _Context) -> Any:
        return language.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def RuntimeOptionsPrompts(self, request: Any, context: _Context) -> Any:
        return language.RuntimeOptionsResponse()

    def GetProgramDependencies(self, request: Any, context: _Context) -> Any:
        from importlib.metadata import distributions

        names = {found.metadata["Name"]: found.version for found in distributions()}
        listed = [language.DependencyInfo(name=name, version=version) for name, version in sorted(names.items())]
        return language.GetProgramDependenciesResponse(dependencies=listed)

    def InstallDependencies(self, request: Any, context: _Context) -> Iterator[Any]:
        """Installs the folder's requirements.txt into the environment that this host runs in."""
        folder = request.info.program_directory or request.directory
        if not (Path(folder) / "requirements.txt").is_file():
            return
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-r", "requirements.txt"]
        for name, value in _stream(command, folder, dict(os.environ), context):
            if name != "exit":
                yield language.InstallDependenciesResponse(**{name: value})
            elif value != 0:
                raise RuntimeError(f"pip could not install {folder}/requirements.txt (status {value})")

    def RunPlugin(self, request: Any, context: _Context) -> Iterator[Any]:
        """Starts a plugin written in Python (a policy pack, say) and passes on what it writes until it ends."""
        _check_environment(request.info)
        program = os.path.join(request.info.program_directory or request.program, request.info.entry_point or ".")
        environment = dict(entry.split("=", 1) for entry in request.env) or dict(os.environ)
        command = [sys.executable, "-u", os.path.normpath(program), *request.args]
        for name, value in _stream(command, request.pwd or None, environment, context):
            yield language.RunPluginResponse(**{"exitcode" if name == "exit" else name: value})

    def Run(self, request: Any, context: _Context) -> Any:
        """Runs a program here. `bail` tells the engine that the error has been shown already."""
        try:
            _check_environment(request.info)
        except WrongEnvironment as refusal:
            return language.RunResponse(error=str(refusal))
        sys.path.insert(0, str(Path(__file__).resolve().parent))
        try:
            program_run = importlib.import_module("program_run")
        finally:
            del sys.path[0]
        error, bail = program_run.run(request, self.engine_address)
        return language.RunResponse(error=error, bail=bail)


def _check_environment(info: Any) -> None:
    """Refuses to run a project in another environment than it names, rather than to fail later on an import."""
    wanted = dict(info.options).get("virtualenv", "") if info.HasField("options") else ""
    if not wanted:
        return
    folder = Path(info.root_directory or info.program_directory, str(wanted))
    if folder.is_dir() and folder.resolve() != Path(sys.prefix).resolve():
        raise WrongEnvironment(f"the project asks for the virtual environment {folder}, and this language host runs in {sys.prefix}")


def _stream(command: list[str], folder: str | None, environment: dict[str, str], context: _Context) -> Iterator[tuple[str, Any]]:
    """Runs a command; yields ("stdout", bytes) and ("stderr", bytes) as they come, at last ("exit", status).

    The command ends with the call: if the engine cancels or goes away, it is terminated.
    """
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )
    context.add_callback(process.terminate)
    parts: queue.Queue[tuple[str, bytes] | None] = queue.Queue()

    def read(name: str, pipe: Any) -> None:
        while part := pipe.read(65536):
            parts.put((name, part))
        parts.put(None)

    for name, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
        threading.Thread(target=read, args=(name, pipe), daemon=True).start()
    open_pipes = 2
    while open_pipes:
        part = parts.get()
        if part is None:
            open_pipes -= 1
        else:
            yield part
    yield "exit", process.wait()


def main(arguments: list[str]) -> int:
    """Serves until the engine says stop (SIGINT) or is gone."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    addresses = [argument for argument in arguments if not argument.startswith("-")]
    # No limit on messages: a stack's config and a program's resources may be large.
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)]
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=options)
    language_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(addresses[0] if addresses else ""), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    parent = os.getppid()
    while not stop.wait(1.0):
        if os.getppid() != parent:  # the engine was killed, and nobody will say stop
            break
    server.stop(grace=0)
    sys.stdout.flush()
    os._exit(0)  # without waiting for a program's threads


if __name__ == "__main__":
    main(sys.argv[1:])
