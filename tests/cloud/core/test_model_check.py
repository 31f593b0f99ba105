"""A request that a service's model does not allow is refused in that service's words, before anything comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.cloud.context import Cloud
from tests.cloud.aws import REGION

AS_IT_IS = Config(parameter_validation=False, retries={"max_attempts": 1}, s3={"addressing_style": "path"})


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "message"),
    [
        ("ec2", "create_vpc", {"CidrBlock": "10.0.0.0/16", "InstanceTenancy": "shared"}, "InvalidParameterValue", "instanceTenancy"),
        ("kms", "create_key", {"KeyUsage": "SECRETS"}, "ValidationException", "keyUsage"),
        ("iam", "create_role", {"RoleName": "my role", "AssumeRolePolicyDocument": "{}"}, "ValidationError", "roleName"),
        ("s3", "create_bucket", {"Bucket": "some-bucket", "ObjectOwnership": "Mine"}, "MalformedXML", "objectOwnership"),
        ("dynamodb", "create_table", {"TableName": "table", "BillingMode": "FREE"}, "ValidationException", "billingMode"),
        ("logs", "create_log_group", {"logGroupName": "a b"}, "InvalidParameterException", "logGroupName"),
        ("sns", "create_topic", {}, "InvalidParameter", "name"),
        ("ecr", "create_repository", {"repositoryName": "Upper"}, "InvalidParameterException", "repositoryName"),
        ("events", "put_rule", {"Name": "rule", "State": "ON", "ScheduleExpression": "rate(1 day)"}, "ValidationException", "state"),
        ("sagemaker", "create_model_package_group", {"ModelPackageGroupName": "a_b"}, "ValidationException", "modelPackageGroupName"),
    ],
)
def test_what_the_model_does_not_allow_is_refused(
    cloud: Cloud, account: str, service: str, operation: str, params: dict[str, Any], code: str, message: str
) -> None:
    client = cloud.session(account, REGION).client(service, config=AS_IT_IS)
    with pytest.raises(ClientError) as caught:
        getattr(client, operation)(**params)
    assert caught.value.response["Error"]["Code"] == code
    assert f"'{message}' failed to satisfy constraint" in caught.value.response["Error"]["Message"]


def test_long_content_is_not_looked_at(cloud: Cloud, account: str) -> None:
    s3 = cloud.session(account, REGION).client("s3", config=AS_IT_IS)
    s3.create_bucket(Bucket="long-content")
    s3.put_object(Bucket="long-content", Key="key", Body=b"x" * 2_000_000)
    assert s3.head_object(Bucket="long-content", Key="key")["ContentLength"] == 2_000_000
