"""`lockstep models`: the model packages of an environment."""

from __future__ import annotations

from typing import Any

import typer

from lockstep.context import EnvironmentName, Json, console, emit

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def models(environment: EnvironmentName, as_json: Json = False) -> None:
    """List the model packages of an environment, newest first, with approval, stage and digests.

    \b
    Example: lockstep models staging
    """
    from lockstep import promotions, tables

    at = promotions.place(environment)
    client = at.sagemaker
    rows = []
    for package in promotions.packages(at):
        described = client.describe_model_package(ModelPackageName=package["ModelPackageArn"])
        metadata = described.get("CustomerMetadataProperties", {})
        rows.append(
            {
                "version": int(described["ModelPackageVersion"]),
                "model_package_arn": described["ModelPackageArn"],
                "status": described["ModelPackageStatus"],
                "approval": described.get("ModelApprovalStatus"),
                "stage": (described.get("ModelLifeCycle") or {}).get("StageStatus"),
                "created": described["CreationTime"].isoformat(timespec="seconds"),
                "artefact_sha256": metadata.get("artefact-sha256"),
                "image_digest": metadata.get("image-digest"),
                "promotion": metadata.get("promotion-id"),
                "gates": metadata.get("gates"),
            }
        )
    if as_json:
        emit(rows)
        return
    if not rows:
        console.print(f"{environment} has no model packages yet")
        return
    columns = ("version", "approval", "stage", "artefact", "image", "created", "promotion")
    tables.show(console, columns, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(row["version"]),
        row["approval"] or "",
        row["stage"] or "",
        (row["artefact_sha256"] or "")[:12],
        (row["image_digest"] or "").removeprefix("sha256:")[:12],
        row["created"],
        row["promotion"] or "",
    )
