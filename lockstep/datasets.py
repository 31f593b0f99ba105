"""A workload's data as files: the training data and the golden set, disjoint, each addressed by its digest."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import ConfigError, IntegrityError, PreflightError
from infra.outputs import EnvironmentOutputs
from pipelines.contract import Record, write_csv
from pipelines.jobs.prepare import is_golden
from pipelines.workload import Workload, current_key, load_workload

KINDS = {"datasets": "data.csv", "golden": "golden.csv"}


@dataclass(frozen=True)
class DataFile:
    """One CSV: `kind` is datasets or golden, `rows` counts without the header."""

    kind: str
    workload: str
    content: bytes
    rows: int

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.workload}/{self.sha256}/{KINDS[self.kind]}"


@dataclass(frozen=True)
class Pushed:
    """Where a file lies in an environment, and whether it had to be sent."""

    kind: str
    uri: str
    sha256: str
    rows: int
    sent: bool


def export(name: str) -> tuple[DataFile, DataFile]:
    """Training data and golden set of a workload, from its source, checked against its contract: the same bytes each time.

    Raises:
        ConfigError: no such workload, or it has no source of data.
        ContractViolation: the source breaks the contract.
    """
    workload = load_workload(name)
    records = workload.contract.parse(_source(name, workload.folder / "source.py").rows())
    key = workload.spec.identifier
    golden = [record for record in records if is_golden(name, record[key])]
    training = [record for record in records if not is_golden(name, record[key])]
    return _file(workload, "datasets", training), _file(workload, "golden", golden)


def _source(name: str, file: Path) -> Any:
    """The module in a file by itself: its package would load the workload's training code, which takes seconds and is not needed."""
    spec = importlib.util.spec_from_file_location(f"workloads.{name}.source", file) if file.is_file() else None
    if spec is None or spec.loader is None:
        raise ConfigError("the workload has no source of data", where=f"workloads/{name}/source.py", remedy="Give it a function `rows`.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def push(session: Any, outputs: EnvironmentOutputs, file: DataFile) -> Pushed:
    """Bring a file into the environment's data bucket, and let `current.json` beside it point there. Repeating it changes nothing."""
    s3, bucket = session.client("s3"), outputs.buckets.data.name
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": outputs.keys.data}
    uri = f"s3://{bucket}/{file.key}"
    sent = False
    if _read(s3, bucket, file.key) is None:
        s3.put_object(Bucket=bucket, Key=file.key, Body=file.content, ContentType="text/csv", **encryption)
        sent = True
    elif hashlib.sha256(_read(s3, bucket, file.key) or b"").hexdigest() != file.sha256:
        raise IntegrityError("the object at this content address holds other bytes", where=uri, remedy="Delete it and push again.")
    pointer = json.dumps({"sha256": file.sha256, "uri": uri, "rows": file.rows}, sort_keys=True).encode()
    pointer_key = current_key(file.kind, file.workload)
    if _read(s3, bucket, pointer_key) != pointer:
        s3.put_object(Bucket=bucket, Key=pointer_key, Body=pointer, ContentType="application/json", **encryption)
    return Pushed(file.kind, uri, file.sha256, file.rows, sent)


def current(session: Any, outputs: EnvironmentOutputs, kind: str, workload: str) -> dict[str, Any]:
    """`{"sha256", "uri", "rows"}` of the present data of a kind. Raises PreflightError if none was pushed."""
    bucket, key = outputs.buckets.data.name, current_key(kind, workload)
    body = _read(session.client("s3"), bucket, key)
    if body is None:
        raise PreflightError(
            f"{outputs.environment} has no data of {workload}",
            where=f"s3://{bucket}/{key}",
            remedy=f"Push it with `lockstep data push {outputs.environment} {workload}`.",
        )
    found: dict[str, Any] = json.loads(body)
    return found


def _file(workload: Workload, kind: str, records: list[Record]) -> DataFile:
    columns = [field.name for field in workload.contract.fields]
    return DataFile(kind, workload.spec.name, write_csv(columns, records).encode(), len(records))


def _read(s3: Any, bucket: str, key: str) -> bytes | None:
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            return None
        raise
    return body
