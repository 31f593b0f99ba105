"""What follows once it is known how a rollout ended: the ledger, the package's stage, cleaning up. Each part may be done twice."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from infra.outputs import EnvironmentOutputs
from pipelines.promotion import cleanup
from pipelines.promotion.decisions import EndpointView
from pipelines.promotion.evidence import Ledger
from pipelines.promotion.journal import Entry, Journal
from pipelines.promotion.outcome import Outcome
from pipelines.promotion.pace import Pace
from pipelines.promotion.seam import Aws, code, passing, text

_STAGE = "Release"
_STATUS = {"released": "Released", "rolled-back": "RolledBack", "unknown": "Unknown"}

_TIMES_MARKED = 5
"""How often a package is marked that somebody else is changing (UpdateModelPackage answers ConflictException)."""


def conclude(aws: Aws, outputs: EnvironmentOutputs, journal: Journal, ledger: Ledger, entry: Entry, view: EndpointView) -> Outcome:
    """Write the ending down and finish the promotion. The same entry gives the same evidence in every run."""
    facts = entry.facts
    ending, plan = facts["ending"], facts["plan"]
    number = None
    if ending["ending"] == "released":
        number = ledger.write_release(entry.promotion, release_facts(facts)).number
    if "unmarked" not in facts:
        journal.record(entry, unmarked=_mark(aws, entry))
    outcome = Outcome(
        promotion=entry.promotion,
        operation=facts["operation"],
        ending=ending["ending"],
        endpoint_config=plan["target"],
        model_package_arn=facts["model_package_arn"],
        at=ending["at"],
        reasons=(*ending["reasons"], *facts["unmarked"]),
    )
    ledger.write_evidence(entry.promotion, evidence_facts(outputs, entry, number))
    cleanup.sweep(aws, outputs, view, keep=live_config(facts))
    journal.finish(entry, {**vars(outcome), "reasons": list(outcome.reasons)})
    return outcome


def _mark(aws: Aws, entry: Entry) -> list[str]:
    """Note on the package how its promotion ended; why that could not be done, which changes nothing about the ending."""
    package, ending = entry.facts["model_package_arn"], entry.facts["ending"]["ending"]
    pace = Pace(aws)
    for attempt in range(1, _TIMES_MARKED + 1):
        try:
            aws.set_package_stage(package, stage=_STAGE, status=_STATUS[ending], description=f"promotion {entry.promotion}")
            return []
        except ClientError as error:
            if passing(error):
                raise
            if code(error) != "ConflictException" or attempt == _TIMES_MARKED:
                return [f"the package could not be marked as {_STATUS[ending]}: {code(error)}: {text(error)}"]
        pace.pause()
    raise AssertionError("unreachable: the last attempt returns")


def live_config(facts: dict[str, Any]) -> str | None:
    """The endpoint config that the ending left live; None if somebody else's is."""
    return {"released": facts["plan"]["target"], "rolled-back": facts["plan"]["former"]}.get(facts["ending"]["ending"])


def release_facts(facts: dict[str, Any]) -> dict[str, Any]:
    metadata = facts["candidate"]["metadata"]
    return {
        "operation": facts["operation"],
        "model_package_arn": facts["model_package_arn"],
        "artefact_sha256": metadata["artefact-sha256"],
        "image_digest": metadata["image-digest"],
        "endpoint_config": facts["plan"]["target"],
        "spec_digest": facts["plan"]["spec_digest"],
        "at": facts["ending"]["at"],
    }


def evidence_facts(outputs: EnvironmentOutputs, entry: Entry, number: int | None) -> dict[str, Any]:
    """All that an auditor asks: what, from which data and code, asked for and approved by whom, judged how, seen how, ended how."""
    facts = entry.facts
    metadata = facts["candidate"]["metadata"]
    return {
        "promotion": entry.promotion,
        "operation": facts["operation"],
        "outcome": facts["ending"]["ending"],
        "reasons": [*facts["ending"]["reasons"], *facts["unmarked"]],
        "release_number": number,
        "environment": outputs.environment,
        "account_id": outputs.account_id,
        "endpoint": outputs.endpoint.name,
        "endpoint_config": facts["plan"]["target"],
        "former_endpoint_config": facts["plan"]["former"],
        "model_package_arn": facts["model_package_arn"],
        "source_model_package_arn": metadata.get("source-model-package-arn"),
        "image": facts["candidate"]["image"],
        "model_data_url": facts["candidate"]["model_data_url"],
        "artefact_sha256": metadata["artefact-sha256"],
        "image_digest": metadata["image-digest"],
        "data_sha256": metadata.get("data-sha256"),
        "code_sha256": metadata.get("code-sha256"),
        "golden_sha256": metadata.get("golden-sha256"),
        **facts["people"],
        "judged": facts["judged"],
        "serving_spec_sha256": facts["plan"]["spec_digest"],
        "deployment": facts["plan"]["deployment"],
        "alarms_ringing_before": [name for name in outputs.endpoint.alarm_names if name not in facts["plan"]["rollback_alarms"]],
        "seen": facts["seen"],
        "began": facts["plan"]["began"],
        "ended": facts["ending"]["at"],
        "calls": entry.trail,
    }
