"""The metrics of an endpoint: AWS/SageMaker for each request, /aws/sagemaker/Endpoints for the processes."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterable

import psutil  # type: ignore[import-untyped]

from local.cloud.cloudwatch.store import MetricName, MetricStore

REQUESTS = "AWS/SageMaker"
INSTANCES = "/aws/sagemaker/Endpoints"


@functools.lru_cache(maxsize=4096)
def _names(endpoint: str, variant: str, config: str | None) -> dict[str, tuple[MetricName, ...]]:
    plain = {"EndpointName": endpoint, "VariantName": variant}
    sets = [plain] if config is None else [plain, plain | {"EndpointConfigName": config}]
    metrics = (
        "Invocations", "InvocationsPerInstance", "Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors",
        "ModelLatency", "OverheadLatency",
    )  # fmt: skip
    return {name: tuple(MetricName.of(REQUESTS, name, dimensions) for dimensions in sets) for name in metrics}


class Recorder:
    """Records the requests of one endpoint."""

    def __init__(self, store: MetricStore, endpoint: str) -> None:
        self._store, self._endpoint = store, endpoint

    def request(
        self, at: float, variant: str, config: str | None, instances: int, status: int, model_seconds: float | None, overhead_seconds: float
    ) -> None:
        """One invocation. `config` is given during and after a deployment; `status` is the container's, 0 when none came; errors count 1
        or 0."""
        names = _names(self._endpoint, variant, config)
        values: list[tuple[str, float, str]] = [
            ("Invocations", 1.0, "None"),
            ("InvocationsPerInstance", 1.0 / max(1, instances), "None"),
            ("Invocation4XXErrors", float(400 <= status < 500), "None"),
            ("Invocation5XXErrors", float(status >= 500 or status == 0), "None"),
            ("InvocationModelErrors", float(not 200 <= status < 300), "None"),
            ("OverheadLatency", _rounded(overhead_seconds * 1e6), "Microseconds"),
        ]
        if model_seconds is not None:
            values.append(("ModelLatency", _rounded(model_seconds * 1e6), "Microseconds"))
        for name, value, unit in values:
            for metric in names[name]:
                self._store.put(metric, value, at, unit)


def _rounded(value: float) -> float:
    """Three significant digits: a minute of busy traffic then holds hundreds of distinct values, not tens of thousands."""
    if value <= 0:
        return 0.0
    digits = 2 - math.floor(math.log10(value))
    return float(round(value, digits))


class Usage:
    """CPU, memory and disk of the processes behind one endpoint."""

    def __init__(self, store: MetricStore, endpoint: str) -> None:
        self._store, self._endpoint = store, endpoint
        self._known: dict[int, psutil.Process] = {}

    def sample(self, at: float, processes: Iterable[tuple[str, int]], folder: str) -> None:
        """Publishes the use of each (variant, process id) since the last sample; CPU is 0..100 a core, the rest 0..100."""
        seen: set[int] = set()
        for variant, pid in processes:
            seen.add(pid)
            with contextlib.suppress(psutil.Error):
                cpu, memory = self._one(pid)
                dimensions = {"EndpointName": self._endpoint, "VariantName": variant}
                values = {"CPUUtilization": cpu, "MemoryUtilization": memory, "DiskUtilization": psutil.disk_usage(folder).percent}
                for name, value in values.items():
                    self._store.put(MetricName.of(INSTANCES, name, dimensions), value, at, "Percent")
        for pid in self._known.keys() - seen:
            del self._known[pid]

    def _one(self, pid: int) -> tuple[float, float]:
        root = psutil.Process(pid)
        cpu = memory = 0.0
        for process in [root, *root.children(recursive=True)]:
            known = self._known.setdefault(process.pid, process)
            with contextlib.suppress(psutil.Error):
                cpu += known.cpu_percent(interval=None)
                memory += known.memory_percent()
        return cpu, memory
