"""Policies of VPC endpoints: what may leave the private network, and where to."""

from __future__ import annotations

from infra.documents import EVERYONE, document, statement
from infra.grants import READABLE_PREFIXES
from infra.naming import BucketPurpose
from infra.site import Site

_OWN: tuple[BucketPurpose, ...] = ("data", "artefacts", "capture", "ledger")


def account_policy(site: Site) -> str:
    """Principals of this account alone: nobody carries foreign credentials into the network to carry data out."""
    return document(
        [
            statement(
                "OwnPrincipals",
                ["*"],
                principal=EVERYONE,
                condition={"StringEquals": {"aws:PrincipalAccount": site.names.account_id}},
            )
        ]
    )


def s3_policy(site: Site) -> str:
    """This environment's buckets; what a promotion reads of the environment before it; the layers of images in ECR."""
    names = site.names
    own = [names.bucket_arn(purpose) for purpose in _OWN]
    statements = [
        statement(
            "OwnBuckets",
            ["s3:Get*", "s3:List*", "s3:PutObject", "s3:AbortMultipartUpload"],
            [*own, *(f"{arn}/*" for arn in own)],
            principal=EVERYONE,
            condition={"StringEquals": {"aws:PrincipalAccount": names.account_id}},
        ),
        statement(
            "ImageLayers",
            ["s3:GetObject"],
            names.arn("s3", f"prod-{names.region}-starport-layer-bucket/*", region="", account_id=""),
            principal=EVERYONE,
        ),
    ]
    if site.source is not None:
        theirs = {purpose: site.source.bucket_arn(purpose) for purpose in READABLE_PREFIXES}
        statements.append(
            statement(
                "SourceBuckets",
                ["s3:GetObject", "s3:ListBucket"],
                [
                    theirs["ledger"],
                    *(f"{theirs[purpose]}/{prefix}/*" for purpose, prefixes in READABLE_PREFIXES.items() for prefix in prefixes),
                ],
                principal=EVERYONE,
                condition={"ArnEquals": {"aws:PrincipalArn": names.role_arn("promotion")}},
            )
        )
    return document(statements)
