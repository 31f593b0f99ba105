"""Data capture: requests and answers as JSON lines in S3, delivered in batches on the cloud's clock."""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from local.cloud.context import Cloud

log = logging.getLogger(__name__)

BATCH_SECONDS = 60.0
"""Cloud seconds that a batch waits; AWS says a couple of minutes."""

BATCH_LINES = 5000


@dataclass(frozen=True)
class Exchange:
    """One request and its answer. Times are epoch seconds of the cloud's clock."""

    at: float
    content_type: str
    body: bytes
    answer_type: str
    answer: bytes
    inference_id: str | None


class Capture:
    """Captures the exchanges of one endpoint."""

    def __init__(self, cloud: Cloud, endpoint: str, client: Callable[[], Any]) -> None:
        self._cloud, self._endpoint, self._client = cloud, endpoint, client
        self._lock = threading.Lock()
        self._lines: dict[str, list[tuple[float, str]]] = {}
        self._configs: dict[str, Mapping[str, Any]] = {}
        self._scheduled = False

    def record(self, variant: str, config: Mapping[str, Any], exchange: Exchange) -> None:
        """Keeps an exchange if the sample takes it. `config` is the endpoint config's DataCaptureConfig."""
        if random.random() * 100 >= config["InitialSamplingPercentage"]:
            return
        text = line(config, exchange)
        with self._lock:
            lines = self._lines.setdefault(variant, [])
            lines.append((exchange.at, text))
            self._configs[variant] = config
            full = len(lines) >= BATCH_LINES
            schedule = not self._scheduled
            self._scheduled = True
        if full:
            threading.Thread(target=self.flush, name="capture", daemon=True).start()
        elif schedule:
            self._cloud.clock.call_later(BATCH_SECONDS, self.flush)

    def flush(self) -> None:
        """Writes what has been captured, one object per variant and hour."""
        with self._lock:
            batches, self._lines, self._scheduled = self._lines, {}, False
            configs = dict(self._configs)
        for variant, lines in batches.items():
            hours: dict[str, list[str]] = {}
            for at, text in lines:
                hours.setdefault(datetime.fromtimestamp(at, UTC).strftime("%Y/%m/%d/%H"), []).append(text)
            for hour, texts in hours.items():
                self._write(variant, configs[variant], hour, texts, lines[0][0])

    def _write(self, variant: str, config: Mapping[str, Any], hour: str, texts: list[str], at: float) -> None:
        place = urlsplit(config["DestinationS3Uri"])
        first = datetime.fromtimestamp(at, UTC)
        name = f"{first.strftime('%M-%S')}-{first.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
        key = "/".join(part for part in (place.path.strip("/"), self._endpoint, variant, hour, name) if part)
        encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": config["KmsKeyId"]} if config.get("KmsKeyId") else {}
        try:
            self._client().put_object(Bucket=place.netloc, Key=key, Body=("\n".join(texts) + "\n").encode(), **encryption)
        except Exception as error:
            log.warning(
                "%d captured requests of %s could not be written to s3://%s/%s: %s", len(texts), self._endpoint, place.netloc, key, error
            )


def line(config: Mapping[str, Any], exchange: Exchange) -> str:
    """One line of a capture file."""
    modes = {option["CaptureMode"] for option in config.get("CaptureOptions") or []}
    headers = config.get("CaptureContentTypeHeader") or {}  # "If no headers are specified SageMaker AI will by default base64 encode"
    data: dict[str, Any] = {}
    if modes & {"Input", "InputAndOutput"}:
        data["endpointInput"] = _side("INPUT", exchange.content_type, exchange.body, headers)
    if modes & {"Output", "InputAndOutput"}:
        data["endpointOutput"] = _side("OUTPUT", exchange.answer_type, exchange.answer, headers)
    event = {"eventId": str(uuid.uuid4())}
    if exchange.inference_id:
        event["inferenceId"] = exchange.inference_id
    event["inferenceTime"] = datetime.fromtimestamp(exchange.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"captureData": data, "eventMetadata": event, "eventVersion": "0"})


def _side(mode: str, content_type: str, body: bytes, headers: Mapping[str, Any]) -> dict[str, str]:
    plain = content_type.partition(";")[0].strip().lower()
    encoding = "BASE64"
    if plain in (headers.get("CsvContentTypes") or ()):
        encoding = "CSV"
    elif plain in (headers.get("JsonContentTypes") or ()):
        encoding = "JSON"
    try:
        text = body.decode() if encoding != "BASE64" else base64.b64encode(body).decode()
    except UnicodeDecodeError:
        encoding, text = "BASE64", base64.b64encode(body).decode()
    return {"observedContentType": content_type, "mode": mode, "data": text, "encoding": encoding}
