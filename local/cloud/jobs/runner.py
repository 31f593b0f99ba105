"""Takes a job through its life on a thread of its own: image, inputs, process, outputs, end.

Nothing here polls: a job moves when its process ends, when it is asked to stop or when its time is up.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from local.cloud.containers.images import ImageError
from local.cloud.containers.paths import ML, PROGRAM, PathMap
from local.cloud.containers.process import ContainerProcess
from local.cloud.containers.runtime import ContainerRuntime, PreparedImage, runtime_of
from local.cloud.iam.rights import lacking, network_needs
from local.cloud.jobs.job import CONTAINER_HOST, Job
from local.cloud.jobs.slots import Slots
from local.cloud.jobs.transfer import TransferError
from local.errors import RoleNotAssumable

if TYPE_CHECKING:
    from pathlib import Path

    from local.cloud.context import Cloud

log = logging.getLogger(__name__)

AT_ONCE = 4


class JobFailed(Exception):
    """The end of a job, with the failure reason that Describe shows."""


class JobRunner:
    """Runs the jobs of one cloud, at most AT_ONCE at a time; the others stay in Starting."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._slots = Slots(AT_ONCE)

    def submit(self, job: Job) -> None:
        threading.Thread(target=self._run, args=(job,), name=f"job-{job.name}", daemon=True).start()

    def stop(self, job: Job) -> None:
        """Ask a job to end: SIGTERM where its process runs, SIGKILL after its grace."""
        with job.lock:
            if job.stop_requested.is_set() or job.is_over:
                return
            job.stop_requested.set()
            process = job.process
        job.enter("Stopping")
        if process is not None:
            process.terminate(job.stop_grace)
        self._slots.wake()

    def close(self) -> None:
        """The cloud goes: whoever waits for a slot gives up. Processes end with the cloud's."""
        self._slots.wake()
        with _making:
            _runners.pop(self._cloud, None)

    def _run(self, job: Job) -> None:
        job.publish()
        if not self._slots.acquire(lambda: job.stop_requested.is_set() or self._cloud.closing.is_set()):
            self._end(job, "Stopped")
            return
        folder = self._cloud.home / "jobs" / f"{job.account}-{job.region}" / f"{job.resource}-{job.name}"
        try:
            status = self._carry_out(job, folder)
        except (JobFailed, ImageError, TransferError, RoleNotAssumable) as error:
            job.failure_reason = _reason(error)
            status = "Failed"
        except Exception as error:
            log.exception("%s", job.arn)
            job.failure_reason = f"InternalServerError: {type(error).__name__}. Its cause is in the log of the embedded cloud."
            status = "Failed"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            self._slots.release()
        self._end(job, status)

    def _end(self, job: Job, status: str) -> None:
        """The end of a job; where the cloud itself ends, whoever waits for the job is only let go."""
        if self._cloud.closing.is_set():
            job.abandon()
        else:
            job.enter(status)

    def _carry_out(self, job: Job, folder: Path) -> str:
        """The job's final status."""
        runtime = runtime_of(self._cloud)
        self._cloud.check_assumable(job.role_arn)
        refused = lacking(self._cloud, job.role_arn, job.region, network_needs(job.vpc, job.account, job.region))
        if refused is not None:
            raise JobFailed(f"ClientError: The execution role can't attach the job to its VPC: {refused}")
        prepared = runtime.prepare(job.image_uri, account=job.account, region=job.region, role_arn=job.role_arn)
        if job.stop_requested.is_set():
            return "Stopped"
        s3 = runtime.client("s3", job.account, job.region, job.role_arn)
        base = folder / "ml"
        shutil.rmtree(folder, ignore_errors=True)
        base.mkdir(parents=True)
        job.enter("Downloading")
        job.write_config(base, _translation(base, prepared))
        job.download(s3, base)
        exit_status = self._run_process(job, runtime, prepared, base)
        if exit_status is None or self._cloud.closing.is_set():
            return "Stopped"
        job.read_message(base)
        ended_by_us = job.stop_requested.is_set() or job.timed_out
        if not ended_by_us:
            job.enter("Uploading")
        job.upload(s3, base, exit_status == 0 and not ended_by_us)
        if ended_by_us:
            return "Stopped"
        if exit_status != 0:
            raise JobFailed(job.algorithm_error(exit_status if exit_status > 0 else 128 - exit_status))
        return "Completed"

    def _run_process(self, job: Job, runtime: ContainerRuntime, prepared: PreparedImage, base: Path) -> int | None:
        """The exit status of the job's process (negative: the signal that ended it); None where the job was stopped before it began."""
        credentials = None if job.is_isolated else self._cloud.credentials_for(job.role_arn) | {"AWS_ENDPOINT_URL": self._cloud.url}
        regions = {"AWS_REGION": job.region, "AWS_DEFAULT_REGION": job.region}
        name = f"{job.name}/{CONTAINER_HOST}-{int(self._cloud.clock.time())}"
        stream = runtime.stream(job.account, job.region, job.log_group, name, job.role_arn)

        def line(text: str) -> None:
            stream(text)
            job.saw_line(text)

        try:
            job.enter("Running")
            with job.lock:
                if job.stop_requested.is_set():
                    return None
                job.process = process = runtime.spawn(
                    prepared,
                    entrypoint=job.entrypoint,
                    command=job.command,
                    environment={**regions, **job.environment},
                    base_dir=base,
                    credentials=credentials,
                    log=line,
                )
            status = process.wait(job.max_runtime)
            return self._end_overdue(job, process) if status is None else status
        finally:
            runtime.finish(stream)

    def _end_overdue(self, job: Job, process: ContainerProcess) -> int | None:
        job.timed_out = True
        process.terminate(job.stop_grace)
        return process.wait()


def _translation(base: Path, prepared: PreparedImage) -> Callable[[Any], Any]:
    places = {ML: base}
    if prepared.image is not None:
        places[PROGRAM] = prepared.image.rootfs / PROGRAM.lstrip("/")
    return PathMap(places).tree


def _reason(error: Exception) -> str:
    if isinstance(error, ImageError):
        return f"ClientError: {error}"
    if isinstance(error, TransferError):
        return f"ClientError: Data transfer failed: {error}"
    if isinstance(error, RoleNotAssumable):
        return f"ClientError: {error.message}"
    return str(error)


_runners: WeakKeyDictionary[Cloud, JobRunner] = WeakKeyDictionary()
_making = threading.Lock()


def runner_of(cloud: Cloud) -> JobRunner:
    """The runner of a cloud: one, made when the first job is."""
    with _making:
        found = _runners.get(cloud)
        if found is None:
            found = _runners[cloud] = JobRunner(cloud)
            cloud.shutdown_hooks.append(found.close)
        return found
