"""`lockstep cloud`: the embedded cloud of this checkout."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from lockstep.context import EnvironmentName, Json, console, emit, home, project_root, running_cloud

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="Start, stop and look at the embedded cloud of this checkout."
)


@app.command()
def up(
    port: Annotated[int | None, typer.Option(help="Loopback port. Default 4566; of a running cloud: the one it has.")] = None,
    speed: Annotated[float | None, typer.Option(help="Cloud seconds a real second. Default 1.")] = None,
    clock_offset: Annotated[
        float | None, typer.Option(help="Seconds that the cloud's clock is ahead of this machine's. Default 0.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Start the embedded cloud; one that runs already is left running, at the speed asked for.

    \b
    Example: lockstep cloud up --speed 30
    """
    from infra.errors import UsageError
    from lockstep import cloud_process, stacks

    _check_options(port, speed, clock_offset)
    cloud = running_cloud()
    started = cloud is None
    forgotten: list[bool] = []
    if cloud is None:
        cloud = cloud_process.start(
            home() / "cloud",
            project_root(),
            port=cloud_process.DEFAULT_PORT if port is None else port,
            speed=1.0 if speed is None else speed,
            offset=clock_offset or 0.0,
            fresh=lambda: forgotten.append(stacks.forget_rehearsal(home())),
        )
        if any(forgotten) and not as_json:
            console.print("Dropped the Pulumi state of an earlier cloud, whose resources are gone.")
    else:
        if port is not None and port != cloud.port:
            raise UsageError(
                f"the embedded cloud of this checkout runs already, on port {cloud.port}",
                where="--port",
                remedy="Stop it with `lockstep cloud down`, or leave --port out.",
            )
        change = {name: value for name, value in (("speed", speed), ("offset", clock_offset)) if value is not None}
        if change:
            cloud.clock(change)
    clock = cloud.clock()
    if as_json:
        emit({"running": True, "started_now": started, "url": cloud.url, "pid": cloud.pid, "started": cloud.started, "clock": clock})
        return
    console.print(
        f"The embedded cloud {'is up' if started else 'runs already'} at {cloud.url} (process {cloud.pid}, speed {clock['speed']:g})."
    )
    console.print('Next: eval "$(lockstep cloud env dev)", then pulumi up -s dev')


def _check_options(port: int | None, speed: float | None, clock_offset: float | None) -> None:
    from infra.errors import UsageError

    if port is not None and not 1 <= port <= 65535:
        raise UsageError(f"{port} is no port", where="--port", remedy="Give a number from 1 to 65535.")
    if speed is not None and not (math.isfinite(speed) and speed > 0):
        raise UsageError(f"time can't run at speed {speed:g}", where="--speed", remedy="Give a positive number, for example 30.")
    if clock_offset is not None and not math.isfinite(clock_offset):
        raise UsageError(f"{clock_offset:g} is no number of seconds", where="--clock-offset", remedy="Give a number, for example 86400.")


@app.command()
def down(
    forget: Annotated[bool, typer.Option("--forget", help="Also remove its logs, images, model files and the engine's settings.")] = False,
    as_json: Json = False,
) -> None:
    """Stop the embedded cloud. Its resources end with it, and so does the Pulumi state that describes them.

    \b
    Example: lockstep cloud down
    """
    from lockstep import cloud_process, stacks

    pid = cloud_process.stop(home() / "cloud")
    stacks.forget_rehearsal(home())
    forgotten = stacks.forget_all(home()) if forget else []
    if as_json:
        emit({"running": False, "stopped": pid, "forgotten": forgotten})
        return
    console.print(f"Stopped the embedded cloud (process {pid})." if pid else "No embedded cloud of this checkout was running.")
    if forgotten:
        console.print(f"Removed {', '.join(forgotten)} in {home()}.")


@app.command()
def status(as_json: Json = False) -> None:
    """Say whether the embedded cloud runs, where, and what time it has. Exit code 1 if it does not run.

    \b
    Example: lockstep cloud status --json
    """
    cloud = running_cloud()
    if cloud is None:
        emit({"running": False}) if as_json else console.print(
            "The embedded cloud of this checkout is not running. Start it with: lockstep cloud up"
        )
        raise typer.Exit(1)
    clock = cloud.clock()
    if as_json:
        emit(
            {
                "running": True,
                "url": cloud.url,
                "pid": cloud.pid,
                "started": cloud.started,
                "clock": clock,
                "log": str(home() / "cloud" / "cloud.log"),
            }
        )
        return
    console.print(f"Up at {cloud.url} (process {cloud.pid}), log {home() / 'cloud' / 'cloud.log'}")
    console.print(f"Its clock says {clock['now']}, at speed {clock['speed']:g}.")


@app.command()
def env(environment: EnvironmentName, as_json: Json = False) -> None:
    """Print the shell variables with which plain `pulumi`, `aws` and boto3 work on an environment in the embedded cloud.

    \b
    Example: eval "$(lockstep cloud env dev)"
    """
    from lockstep import shell

    variables = shell.local(environment)
    if as_json:
        emit({"set": variables.set, "unset": list(variables.unset)})
    else:
        print(variables.script())
