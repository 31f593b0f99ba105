"""Log groups."""

from __future__ import annotations

from local.provider.api import Api
from local.provider.resource import AutoName, Call, Properties, Read, ResourceType, Setting, Tags


def _retention(api: Api, old: Properties, new: Properties) -> None:
    """Zero days stand for ever, which in the API is no policy at all."""
    if new.get("retentionInDays"):
        api.call("logs", "PutRetentionPolicy", logGroupName=new["id"], retentionInDays=int(new["retentionInDays"]))
    elif old:
        api.call("logs", "DeleteRetentionPolicy", logGroupName=new["id"])


def _delete(api: Api, identity: str, state: Properties) -> None:
    if not state.get("skipDestroy"):
        api.call("logs", "DeleteLogGroup", logGroupName=identity)


LOG_GROUP = ResourceType(
    token="aws:cloudwatch/logGroup:LogGroup",
    service="logs",
    create=Call("CreateLogGroup", {"logGroupName": "$name"}, fields=("kmsKeyId", "logGroupClass")),
    identity="{name}",
    reads=(
        Read(
            "DescribeLogGroups",
            {"logGroupNamePrefix": "$id"},
            at="logGroups[?logGroupName=='{id}'] | [0]",
            fields={"name": "logGroupName"},
            skip=("arn",),
            absent=("ResourceNotFoundException",),
        ),
    ),
    settings=(
        Setting(("retentionInDays",), _retention),
        Setting(
            ("kmsKeyId",),
            Call("AssociateKmsKey", {"logGroupName": "$id"}, fields=("kmsKeyId",)),
            at_create=False,
            clear=Call("DisassociateKmsKey", {"logGroupName": "$id"}),
        ),
    ),
    delete=Call("DeleteLogGroup", {"logGroupName": "$id"}),
    replace=("name", "namePrefix", "logGroupClass"),
    name=AutoName("name", 512, prefix="namePrefix"),
    defaults={"retentionInDays": 0, "skipDestroy": False},
    computed=("namePrefix", "logGroupClass"),
    local=("skipDestroy", "namePrefix"),
    outputs={"arn": "arn:{partition}:logs:{region}:{account}:log-group:{id}"},
    tags=Tags(
        tag=Call("TagResource", {"resourceArn": "$arn"}),
        untag=Call("UntagResource", {"resourceArn": "$arn"}),
        member="tags",
        names="tagKeys",
        style="map",
        create="tags",
        read=Read("ListTagsForResource", {"resourceArn": "$arn"}, at="tags"),
    ),
    on_delete=_delete,
)

TYPES = (LOG_GROUP,)
