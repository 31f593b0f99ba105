"""The table of services: all of it can be loaded, and what is not in it is refused as such."""

from __future__ import annotations

import importlib

import pytest
from botocore.exceptions import ClientError

from local.cloud.context import Cloud
from local.cloud.services import URL_TABLES
from tests.cloud.aws import ACCOUNT, REGION


@pytest.mark.parametrize("module", sorted(set(URL_TABLES.values())))
def test_every_table_of_urls_is_there(module: str) -> None:
    assert importlib.import_module(module).url_paths


def test_records_of_a_feature_group_are_not_implemented(cloud: Cloud) -> None:
    client = cloud.session(ACCOUNT, REGION).client("sagemaker-featurestore-runtime")
    for operation, call in (
        ("GetRecord", lambda: client.get_record(FeatureGroupName="features", RecordIdentifierValueAsString="1")),
        ("PutRecord", lambda: client.put_record(FeatureGroupName="features", Record=[{"FeatureName": "id", "ValueAsString": "1"}])),
    ):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == "NotImplemented"
        assert f"sagemaker-featurestore-runtime:{operation}" in caught.value.response["Error"]["Message"]
