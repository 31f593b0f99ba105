"""What promotion and infrastructure lean on in S3, ECR and EC2, less what tests/cloud/contracts holds."""

from __future__ import annotations

import hashlib
import json
import urllib.error
import urllib.request
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.context import Cloud
from tests.cloud.aws import ACCOUNT, REGION


def code(call: Any, **arguments: Any) -> str:
    """The error code of a call, or "" where it succeeds."""
    try:
        call(**arguments)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_the_default_retention_of_a_full_bucket_can_change(cloud: Cloud) -> None:
    s3 = cloud.session(ACCOUNT, REGION).client("s3")
    s3.create_bucket(Bucket="ledger", ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    s3.put_object_lock_configuration(Bucket="ledger", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    assert s3.get_object_lock_configuration(Bucket="ledger")["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled", "Rule": rule}
    version = s3.put_object(Bucket="ledger", Key="k", Body=b"x")["VersionId"]
    assert code(s3.delete_object, Bucket="ledger", Key="k", VersionId=version) == "AccessDenied"
    s3.put_object_lock_configuration(Bucket="ledger", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    assert s3.get_object_lock_configuration(Bucket="ledger")["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    version = s3.put_object(Bucket="ledger", Key="free", Body=b"x")["VersionId"]
    assert code(s3.delete_object, Bucket="ledger", Key="free", VersionId=version) == ""


def upload(ecr: Any, data: bytes) -> str:
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    upload_id = ecr.initiate_layer_upload(repositoryName="work")["uploadId"]
    ecr.upload_layer_part(repositoryName="work", uploadId=upload_id, partFirstByte=0, partLastByte=len(data) - 1, layerPartBlob=data)
    ecr.complete_layer_upload(repositoryName="work", uploadId=upload_id, layerDigests=[digest])
    return digest


def manifest(config: str, layer: str, note: str = "") -> str:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 5}],
            "annotations": {"note": note},
        }
    )


def test_an_image_is_what_its_digest_says(cloud: Cloud) -> None:
    ecr = cloud.session(ACCOUNT, REGION).client("ecr")
    ecr.create_repository(repositoryName="work", imageTagMutability="IMMUTABLE")
    place = {"repositoryName": "work"}
    config, layer = upload(ecr, b"{}"), upload(ecr, b"layer")
    text = manifest(config, layer)
    digest = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert ecr.put_image(**place, imageManifest=text, imageTag="one")["image"]["imageId"] == {"imageDigest": digest, "imageTag": "one"}
    (found,) = ecr.batch_get_image(**place, imageIds=[{"imageDigest": digest}])["images"]
    assert found["imageManifest"] == text
    (detail,) = ecr.describe_images(**place)["imageDetails"]
    assert (detail["imageDigest"], detail["imageTags"], detail["imageSizeInBytes"]) == (digest, ["one"], 7)
    url = ecr.get_download_url_for_layer(**place, layerDigest=layer)["downloadUrl"]
    assert urllib.request.urlopen(url, timeout=10).read() == b"layer"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url[:-4] + "0000", timeout=10)
    assert code(ecr.put_image, **place, imageManifest=text, imageTag="one") == "ImageAlreadyExistsException"
    assert code(ecr.put_image, **place, imageManifest=manifest(config, layer, "two"), imageTag="one") == "ImageTagAlreadyExistsException"
    assert code(ecr.put_image, **place, imageManifest=text, imageDigest="sha256:" + "0" * 64) == "ImageDigestDoesNotMatchException"
    missing = "sha256:" + "1" * 64
    assert code(ecr.put_image, **place, imageManifest=manifest(config, missing), imageTag="two") == "LayersNotFoundException"
    assert code(ecr.get_download_url_for_layer, **place, layerDigest=missing) == "LayersNotFoundException"
    assert code(upload, ecr=ecr, data=b"layer") == "LayerAlreadyExistsException"


def test_rules_of_security_groups(cloud: Cloud) -> None:
    ec2 = cloud.session(ACCOUNT, REGION).client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.10.0.0/16")["Vpc"]["VpcId"]
    one, two = (ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("one", "two"))
    permission = {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": two, "Description": "from two"}]}
    rule = ec2.authorize_security_group_ingress(GroupId=one, IpPermissions=[permission])["SecurityGroupRules"][0]
    assert rule["Description"] == "from two"
    place = {"SecurityGroupRuleId": rule["SecurityGroupRuleId"]}
    wanted = {"IpProtocol": "-1", "CidrIpv4": "10.0.0.0/8", "Description": "all"}
    ec2.modify_security_group_rules(GroupId=one, SecurityGroupRules=[{**place, "SecurityGroupRule": wanted}])
    (found,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=list(place.values()))["SecurityGroupRules"]
    assert (found["IpProtocol"], found["CidrIpv4"], found["Description"]) == ("-1", "10.0.0.0/8", "all")
    assert "ReferencedGroupInfo" not in found
    ec2.update_security_group_rule_descriptions_ingress(GroupId=one, SecurityGroupRuleDescriptions=[{**place, "Description": "new"}])
    (found,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=list(place.values()))["SecurityGroupRules"]
    assert found["Description"] == "new"


def test_a_gateway_endpoint_follows_its_route_tables(cloud: Cloud) -> None:
    ec2 = cloud.session(ACCOUNT, REGION).client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.10.0.0/16")["Vpc"]["VpcId"]
    first, second = (ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"] for _ in range(2))
    service = f"com.amazonaws.{REGION}.s3"
    endpoint = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service, VpcEndpointType="Gateway", RouteTableIds=[first])["VpcEndpoint"][
        "VpcEndpointId"
    ]

    def routed() -> list[bool]:
        tables = [ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"] for table in (first, second)]
        return [any(route.get("GatewayId") == endpoint for route in routes) for routes in tables]

    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddRouteTableIds=[second])
    assert routed() == [True, True]
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, RemoveRouteTableIds=[first])
    assert routed() == [False, True]
    assert ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])["Unsuccessful"] == []
    assert routed() == [False, False]
    assert code(ec2.describe_vpc_endpoints, VpcEndpointIds=[endpoint]) == "InvalidVpcEndpointId.NotFound"


def test_an_interface_endpoint_has_an_address_of_its_own_in_each_subnet(cloud: Cloud) -> None:
    ec2 = cloud.session(ACCOUNT, REGION).client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    ranges = {
        ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"]: cidr
        for zone, cidr in (("us-east-1a", "10.20.0.0/28"), ("us-east-1b", "10.20.1.0/28"))
    }

    def interfaces(endpoint: str) -> list[tuple[str, str]]:
        ids = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]["NetworkInterfaceIds"]
        found = ec2.describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"]
        return [(each["SubnetId"], each["PrivateIpAddress"]) for each in found]

    made = [
        ec2.create_vpc_endpoint(
            VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.{service}", VpcEndpointType="Interface", SubnetIds=list(ranges)
        )["VpcEndpoint"]["VpcEndpointId"]
        for service in ("kms", "sts")
    ]
    addresses = [each for endpoint in made for each in interfaces(endpoint)]
    assert len({address for _, address in addresses}) == 4
    assert all(ip_address(address) in ip_network(ranges[subnet]) for subnet, address in addresses)
    gone, kept = ranges
    ec2.modify_vpc_endpoint(VpcEndpointId=made[0], RemoveSubnetIds=[gone])
    assert [subnet for subnet, _ in interfaces(made[0])] == [kept]
    ec2.delete_vpc_endpoints(VpcEndpointIds=made)
    assert ec2.describe_network_interfaces(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkInterfaces"] == []


def test_an_interface_endpoint_takes_one_subnet_in_a_zone(cloud: Cloud) -> None:
    ec2 = cloud.session(ACCOUNT, REGION).client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.61.0.0/16")["Vpc"]["VpcId"]

    def subnet(part: int, zone: str) -> str:
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.61.{part}.0/24", AvailabilityZone=zone)
        return str(made["Subnet"]["SubnetId"])

    here, beside, elsewhere = subnet(1, "us-east-1a"), subnet(2, "us-east-1a"), subnet(3, "us-east-1b")
    wanted = {"VpcId": vpc, "ServiceName": "com.amazonaws.us-east-1.sts", "VpcEndpointType": "Interface"}
    assert code(ec2.create_vpc_endpoint, **wanted, SubnetIds=[here, beside]) == "DuplicateSubnetsInSameZone"
    endpoint = ec2.create_vpc_endpoint(**wanted, SubnetIds=[here, elsewhere])["VpcEndpoint"]["VpcEndpointId"]
    assert code(ec2.modify_vpc_endpoint, VpcEndpointId=endpoint, AddSubnetIds=[beside]) == "DuplicateSubnetsInSameZone"
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddSubnetIds=[beside], RemoveSubnetIds=[here])
    assert set(ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]["SubnetIds"]) == {beside, elsewhere}
