"""What the parts of SageMaker share: the running cloud, errors, ARNs and a lock."""

from __future__ import annotations

import threading
from datetime import datetime

from local.cloud import context
from local.cloud.aws_errors import CloudError
from local.cloud.context import Cloud


class SageMakerBase:
    """Base of the mixins that make up the backend of one account and region."""

    account_id: str
    region_name: str

    @property
    def cloud(self) -> Cloud:
        return context.current()

    @property
    def lock(self) -> threading.RLock:
        """One lock for the whole backend. Never hold it while waiting or calling out over HTTP."""
        found = self.__dict__.get("_backend_lock")
        if found is None:
            found = self.__dict__.setdefault("_backend_lock", threading.RLock())
        return found  # type: ignore[no-any-return]

    def now(self) -> datetime:
        return self.cloud.clock.now()

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a resource of this account: arn("endpoint", "x") -> arn:aws:sagemaker:<region>:<account>:endpoint/x."""
        return f"arn:aws:sagemaker:{self.region_name}:{self.account_id}:{kind}/{name}"


def validation(message: str) -> CloudError:
    """ValidationException, SageMaker's answer to most of what is wrong with a request."""
    return CloudError("ValidationException", message)


def not_found(message: str) -> CloudError:
    return CloudError("ResourceNotFound", message)


def resource_in_use(message: str) -> CloudError:
    return CloudError("ResourceInUse", message)


def conflict(message: str) -> CloudError:
    return CloudError("ConflictException", message)
