"""Application Auto Scaling: target tracking that really adds and removes serving processes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from local.cloud import context

if TYPE_CHECKING:
    from local.cloud.autoscaling.scaler import Scaler
    from local.cloud.context import Cloud

_scalers: WeakKeyDictionary[Cloud, Scaler] = WeakKeyDictionary()


def install(cloud: Cloud) -> None:
    """Starts the scaler of a cloud."""
    from local.cloud.autoscaling.scaler import Scaler

    scaler = _scalers[cloud] = Scaler(cloud)
    threading.Thread(target=scaler.run, name="autoscaling", daemon=True).start()


def scaler_of(cloud: Cloud | None = None) -> Scaler:
    """The scaler of a cloud, of the running one by default."""
    return _scalers[cloud or context.current()]
