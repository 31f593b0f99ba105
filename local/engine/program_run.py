"""Runs one Pulumi program in this process, as the engine asked. Imported only then: it imports the SDK."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pulumi
from pulumi import log
from pulumi.runtime import reset_options, run_in_stack, set_all_config


def run(request: Any, engine_address: str) -> tuple[str, bool]:
    """Runs the program of a RunRequest.

    Returns:
        The error to show, empty if none, and whether an error has been shown already.
    """
    return contextvars.copy_context().run(_run, request, engine_address)


def _run(request: Any, engine_address: str) -> tuple[str, bool]:
    program = os.path.normpath(os.path.join(request.info.program_directory or request.program, request.info.entry_point or "."))
    os.chdir(request.pwd)
    sys.path.insert(0, program if os.path.isdir(program) else os.path.dirname(program))
    sys.argv = [program, *request.args[1:]]
    # A task whose error nobody reads is reported by the SDK itself; asyncio would repeat it, with a traceback of its own.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    reset_options(
        project=request.project,
        stack=request.stack,
        organization=request.organization or "organization",
        monitor_address=request.monitor_address,
        engine_address=request.args[0] if request.args else engine_address,
        parallel=request.parallel,
        preview=request.dryRun,
        root_directory=request.info.root_directory or None,
    )
    set_all_config(dict(request.config), list(request.configSecretKeys))

    loop = asyncio.new_event_loop()
    loop.set_default_executor(ThreadPoolExecutor(max_workers=max(request.parallel, 1) * 4))
    loop.set_exception_handler(_on_loop_error)
    try:
        loop.run_until_complete(run_in_stack(lambda: _execute(program)))
        return "", False
    except pulumi.RunError as error:
        log.error(str(error))
        return "", True
    except grpc.RpcError as error:
        # The engine closes the monitor when an update fails or is cancelled; it has said why.
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return "", True
        log.error(f"RPC error: {error.details()}")
        return "", True
    except SystemExit as left:
        return ("", False) if left.code in (None, 0) else (f"the program ended with status {left.code}", False)
    except BaseException as error:
        log.error("The program failed:\n" + program_traceback(error, program))
        return "", True
    finally:
        _close(loop)
        sys.stdout.flush()
        sys.stderr.flush()


def _execute(program: str) -> None:
    runpy.run_path(program, run_name="__main__")


def program_traceback(error: BaseException, program: str) -> str:
    """The traceback from the first frame of the program on: the frames that lead there are the host's and the SDK's."""
    folder = program if os.path.isdir(program) else os.path.dirname(program)
    own = os.path.dirname(os.path.abspath(__file__))
    step = error.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_filename
        if name.startswith(folder + os.sep) and os.path.dirname(name) != own and f"{os.sep}site-packages{os.sep}" not in name:
            break
        step = step.tb_next
    return "".join(traceback.format_exception(type(error), error, step or error.__traceback__))


def _on_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(context.get("exception"), grpc.RpcError):
        loop.stop()
    else:
        loop.default_exception_handler(context)


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Ends what still waits in the loop, so that closing it reports no forgotten task."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            loop.run_until_complete(task)
    loop.close()
