"""Pipelines that make models and register model packages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.sagemaker.backend import backends

ACCOUNT, REGION = "111111111111", "us-east-1"


def test_a_model_is_made_and_registered_with_what_earlier_steps_left(lab: Any) -> None:
    image = lab.image({"bin/serve": "#!/usr/bin/env python\n"})
    archive = lab.put("models/model.tar.gz", "not looked at here")
    steps = [
        {
            "Name": "Make",
            "Type": "Model",
            "Arguments": {
                "ExecutionRoleArn": lab.role,
                "PrimaryContainer": {"Image": image, "ModelDataUrl": {"Get": "Parameters.Archive"}},
            },
        },
        {
            "Name": "Register",
            "Type": "RegisterModel",
            "Arguments": {
                "ModelPackageGroupName": "new-group",
                "ModelApprovalStatus": "PendingManualApproval",
                "InferenceSpecification": {
                    "Containers": [{"Image": image, "ModelDataUrl": {"Get": "Steps.Make.PrimaryContainer.ModelDataUrl"}}],
                    "SupportedContentTypes": ["text/csv"],
                    "SupportedResponseMIMETypes": ["text/csv"],
                },
            },
        },
    ]
    parameters = [{"Name": "Archive", "Type": "String", "DefaultValue": archive}]
    text = json.dumps({"Version": "2020-12-01", "Parameters": parameters, "Steps": steps})
    lab.sagemaker.create_pipeline(PipelineName="models", PipelineDefinition=text, RoleArn=lab.role)
    arn = lab.sagemaker.start_pipeline_execution(PipelineName="models")["PipelineExecutionArn"]
    execution = backends[ACCOUNT][REGION].execution(arn)
    assert execution.done.wait(90)
    listed = lab.sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, SortOrder="Ascending")["PipelineExecutionSteps"]
    assert [(step["StepName"], step["StepStatus"]) for step in listed] == [("Make", "Succeeded"), ("Register", "Succeeded")], listed
    (made,) = lab.sagemaker.list_models()["Models"]
    assert listed[0]["Metadata"]["Model"]["Arn"] == made["ModelArn"]
    model = lab.sagemaker.describe_model(ModelName=made["ModelName"])
    assert model["PrimaryContainer"]["ModelDataUrl"] == archive
    package = lab.sagemaker.describe_model_package(ModelPackageName=listed[1]["Metadata"]["RegisterModel"]["Arn"])
    assert package["ModelPackageVersion"] == 1
    assert package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == archive


def test_a_pipelines_life(lab: Any) -> None:
    client = lab.sagemaker
    text = json.dumps({"Version": "2020-12-01", "Steps": [{"Name": "No", "Type": "Fail", "Arguments": {"ErrorMessage": "no"}}]})
    arn = client.create_pipeline(PipelineName="life", PipelineDefinition=text, RoleArn=lab.role, Tags=[{"Key": "a", "Value": "b"}])[
        "PipelineArn"
    ]
    described = client.describe_pipeline(PipelineName=arn)
    assert (described["PipelineDefinition"], described["PipelineStatus"], described["RoleArn"]) == (text, "Active", lab.role)
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    other = lab.role_named("other-jobs")
    client.update_pipeline(PipelineName="life", RoleArn=other, PipelineDescription="d")
    changed = client.describe_pipeline(PipelineName="life")
    assert (changed["RoleArn"], changed["PipelineDescription"], changed["PipelineDefinition"]) == (other, "d", text)
    assert [item["PipelineName"] for item in client.list_pipelines(PipelineNamePrefix="li")["PipelineSummaries"]] == ["life"]
    with pytest.raises(ClientError, match="already exists"):
        client.create_pipeline(PipelineName="life", PipelineDefinition=text, RoleArn=lab.role)
    client.delete_pipeline(PipelineName="life")
    with pytest.raises(client.exceptions.ResourceNotFound, match=f"Pipeline '{arn}' does not exist"):
        client.describe_pipeline(PipelineName="life")
