"""Deletes what releases made and nothing refers to any more. Never what is live, pending, or the bootstrap's."""

from __future__ import annotations

from infra.outputs import EnvironmentOutputs
from pipelines.promotion.decisions import EndpointView, superseded
from pipelines.promotion.names import name_prefix
from pipelines.promotion.plan import Plan
from pipelines.promotion.seam import Aws


def discard(aws: Aws, plan: Plan) -> None:
    """Delete what a promotion made before it was stopped. Its update was never asked for, so none of it can be in use."""
    aws.delete_alarms([alarm["AlarmName"] for alarm in plan.alarms])
    aws.delete_endpoint_config(plan.target)
    aws.delete_model(plan.model["ModelName"])


def sweep(aws: Aws, outputs: EnvironmentOutputs, view: EndpointView | None, keep: str | None = None) -> list[str]:
    """Delete models, endpoint configs and alarms of releases that are neither live nor pending; returns their names.

    SageMaker accepts the deletion of a config in use and breaks at the next update, so what is kept is decided here, from `view`, which
    must be a look taken under the lease, and from `keep`, the config that is known to be live, should that look be an old one. `view=None`:
    there is no endpoint, so nothing is kept but the bootstrap's.
    """
    prefix = name_prefix(outputs.promotion.release_prefix)
    live = {config for config in (view.config, view.pending_config, keep) if config} if view else set()
    configs = frozenset(live | {outputs.endpoint.bootstrap_config_name})
    models = {outputs.endpoint.bootstrap_model_name}
    for config in live:
        described = aws.endpoint_config(config)
        models |= {variant["ModelName"] for variant in described["ProductionVariants"]} if described else set()
    alarms = frozenset(aws.alarm_names(prefix))
    kept_alarms = {alarm for alarm in alarms if any(alarm.startswith(f"{config}-") for config in configs)} | set(
        outputs.endpoint.alarm_names
    )
    gone: list[str] = []
    if old := superseded(names=alarms, kept=frozenset(kept_alarms), prefix=prefix):
        for start in range(0, len(old), 100):
            aws.delete_alarms(list(old[start : start + 100]))
        gone += old
    for name in superseded(names=frozenset(aws.endpoint_configs(prefix)), kept=configs, prefix=prefix):
        aws.delete_endpoint_config(name)
        gone.append(name)
    for name in superseded(names=frozenset(aws.models(prefix)), kept=frozenset(models), prefix=prefix):
        aws.delete_model(name)
        gone.append(name)
    return gone
