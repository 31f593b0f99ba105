"""Feature groups: created, described, widened, tagged, deleted; bad ones refused."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.context import Cloud
from tests.cloud.aws import ACCOUNT, REGION

ROLE = f"arn:aws:iam::{ACCOUNT}:role/features"


def request(**changes: Any) -> dict[str, Any]:
    return {
        "FeatureGroupName": "applicants",
        "RecordIdentifierFeatureName": "id",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [
            {"FeatureName": "id", "FeatureType": "String"},
            {"FeatureName": "at", "FeatureType": "String"},
            {"FeatureName": "income", "FeatureType": "Fractional"},
        ],
        "OnlineStoreConfig": {"EnableOnlineStore": True, "SecurityConfig": {"KmsKeyId": "key"}},
        "OfflineStoreConfig": {"S3StorageConfig": {"S3Uri": "s3://features/x", "KmsKeyId": "key"}, "DisableGlueTableCreation": True},
        "RoleArn": ROLE,
        "Tags": [{"Key": "environment", "Value": "dev"}],
        **changes,
    }


def test_life_of_a_feature_group(cloud: Cloud, account: str) -> None:
    session = cloud.session(account, REGION)
    sagemaker = session.client("sagemaker")
    arn = sagemaker.create_feature_group(**request())["FeatureGroupArn"]
    found = sagemaker.describe_feature_group(FeatureGroupName="applicants")
    assert found["FeatureGroupStatus"] == "Created"
    assert found["OnlineStoreConfig"] == {"EnableOnlineStore": True, "SecurityConfig": {"KmsKeyId": "key"}}
    storage = found["OfflineStoreConfig"]["S3StorageConfig"]
    assert storage["ResolvedOutputS3Uri"].startswith(f"s3://features/x/{account}/sagemaker/{REGION}/offline-store/applicants-")
    assert session.client("glue").get_databases()["DatabaseList"] == []
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "environment", "Value": "dev"}]
    sagemaker.update_feature_group(FeatureGroupName="applicants", FeatureAdditions=[{"FeatureName": "age", "FeatureType": "Integral"}])
    names = [feature["FeatureName"] for feature in sagemaker.describe_feature_group(FeatureGroupName="applicants")["FeatureDefinitions"]]
    assert names == ["id", "at", "income", "age"]
    with pytest.raises(ClientError, match="ResourceInUse"):
        sagemaker.create_feature_group(**request())
    sagemaker.delete_feature_group(FeatureGroupName="applicants")
    with pytest.raises(ClientError, match="ResourceNotFound"):
        sagemaker.describe_feature_group(FeatureGroupName="applicants")
    assert sagemaker.list_feature_groups()["FeatureGroupSummaries"] == []


def test_a_glue_table_is_made_where_asked_for(cloud: Cloud, account: str) -> None:
    session = cloud.session(account, REGION)
    session.client("sagemaker").create_feature_group(**request(OfflineStoreConfig={"S3StorageConfig": {"S3Uri": "s3://features"}}))
    (table,) = session.client("glue").get_tables(DatabaseName="sagemaker_featurestore")["TableList"]
    assert {"Name": "income", "Type": "double"} in table["StorageDescriptor"]["Columns"]


@pytest.mark.parametrize(
    "changes",
    [
        {"RecordIdentifierFeatureName": "none"},
        {"EventTimeFeatureName": "none"},
        {"FeatureDefinitions": [{"FeatureName": "id", "FeatureType": "String"}, {"FeatureName": "at", "FeatureType": "Integral"}]},
        {"FeatureDefinitions": [*request()["FeatureDefinitions"], {"FeatureName": "write_time", "FeatureType": "String"}]},
        {"FeatureDefinitions": [*request()["FeatureDefinitions"], {"FeatureName": "id", "FeatureType": "String"}]},
    ],
)
def test_bad_ones_are_refused(cloud: Cloud, account: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        cloud.session(account, REGION).client("sagemaker").create_feature_group(**request(**changes))
