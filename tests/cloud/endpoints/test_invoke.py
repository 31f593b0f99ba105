"""InvokeEndpoint: routing, headers, limits, errors, metrics, capture, and instances that come and go."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.cloud.endpoints.capture import Exchange, line
from tests.cloud.endpoints.deployments import baking, canary, skip_bakes, until
from tests.cloud.endpoints.images import Site


def error(call: Any) -> ClientError:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value


def test_the_container_sees_its_model_its_environment_and_its_role(site: Site) -> None:
    site.endpoint("seen", site.config("seen", {"EXTRA": "1"}))
    seen = site.ask("seen", b"env")
    assert seen["files"] == ["weights.txt"]
    assert seen["NAME"] == "seen"
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")


def test_a_network_isolated_container_has_no_credentials(site: Site) -> None:
    site.model("isolated", EnableNetworkIsolation=True)
    variant = {"VariantName": "v", "ModelName": "isolated", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    site.sagemaker.create_endpoint_config(EndpointConfigName="isolated", ProductionVariants=[variant])
    site.endpoint("isolated", "isolated")
    assert site.ask("isolated", b"env")["AWS_ACCESS_KEY_ID"] is None


def test_headers_go_in_and_come_out(site: Site) -> None:
    site.endpoint("heads", site.config("heads"))
    answer = site.runtime.invoke_endpoint(EndpointName="heads", Body=b"x", CustomAttributes="trace=1", TargetVariant="AllTraffic")
    assert (answer["InvokedProductionVariant"], answer["CustomAttributes"], answer["ContentType"]) == (
        "AllTraffic",
        "trace=1",
        "application/json",
    )
    wrong = error(lambda: site.ask("heads", TargetVariant="Other"))
    assert wrong.response["Error"]["Code"] == "ValidationError"
    assert wrong.response["Error"]["Message"] == "Variant Other not found for Endpoint heads."


def test_a_missing_endpoint_is_a_validation_error(site: Site) -> None:
    found = error(lambda: site.ask("nobody"))
    assert found.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert found.response["Error"] == {"Code": "ValidationError", "Message": "Endpoint nobody of account 111111111111 not found."}


def test_a_body_may_have_six_mebibytes_and_no_more(site: Site) -> None:
    site.endpoint("big", site.config("big"))
    assert site.ask("big", b"x" * 6_291_456)["got"] == 6_291_456
    found = error(lambda: site.ask("big", b"x" * 6_291_457))
    assert found.response["Error"]["Code"] == "ValidationError"
    assert "less than or equal to 6291456" in found.response["Error"]["Message"]


@pytest.mark.parametrize(("body", "status", "kind"), [(b"fail", 500, "server"), (b"bad", 400, "client"), (b"busy", 429, "client")])
def test_what_the_model_refuses_is_a_model_error(site: Site, body: bytes, status: int, kind: str) -> None:
    name = f"model-{status}"
    site.endpoint(name, site.config(name))
    found = error(lambda: site.ask(name, body)).response
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert found["Error"]["Code"] == "ModelError"
    assert found["OriginalStatusCode"] == status
    assert found["OriginalMessage"] in ("model failed", "bad request", "too many requests")
    assert found["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{name}")
    assert f"Received {kind} error ({status}) from primary" in found["Error"]["Message"]


def test_variants_share_by_weight(site: Site) -> None:
    for name in ("one", "two"):
        site.model(f"weights-{name}")
    variants = [
        {"VariantName": n, "ModelName": f"weights-{n}", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "InitialVariantWeight": w}
        for n, w in (("one", 1.0), ("two", 0.0))
    ]
    site.sagemaker.create_endpoint_config(EndpointConfigName="weights", ProductionVariants=variants)
    site.endpoint("weights", "weights")
    assert {site.ask("weights")["name"] for _ in range(10)} == {"weights-one"}
    assert site.ask("weights", TargetVariant="two")["name"] == "weights-two"


def test_a_crashed_instance_is_replaced_and_the_others_answer_meanwhile(site: Site) -> None:
    site.endpoint("crash", site.config("crash", count=2))
    pids = {site.ask("crash")["pid"] for _ in range(4)}
    assert len(pids) == 2
    victim = pids.pop()
    process = next(i.process for _, i in site.serving("crash").fleet.everyone() if i.process.pid == victim)
    os.kill(victim, signal.SIGKILL)
    process.wait(90)
    answers = Counter(site.ask("crash")["pid"] for _ in range(20))
    assert victim not in answers
    until(lambda: len({site.ask("crash")["pid"] for _ in range(4)}) == 2)
    assert site.sagemaker.describe_endpoint(EndpointName="crash")["EndpointStatus"] == "InService"


def test_a_request_in_flight_is_finished_before_its_instance_goes(site: Site) -> None:
    site.endpoint("drain", site.config("drain"))
    green = site.config("drain-next")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(site.ask, "drain", b"sleep 1.5")
        until(lambda: any(i.load for _, i in site.serving("drain").fleet.everyone()))
        site.sagemaker.update_endpoint(EndpointName="drain", EndpointConfigName=green)
        assert slow.result()["name"] == "drain"
    assert site.settled("drain")["EndpointConfigName"] == green


def test_no_request_is_lost_under_load_and_the_canary_gets_its_share(site: Site) -> None:
    blue, green = site.config("load-blue", count=4), site.config("load-green", count=4)
    site.endpoint("load", blue)
    stop = threading.Event()
    answers: list[tuple[float, str]] = []
    problems: list[str] = []

    def client() -> None:
        session = site.cloud.session("111111111111", "us-east-1")
        runtime = session.client("sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}))
        while not stop.wait(0.01):
            try:
                answer = runtime.invoke_endpoint(EndpointName="load", Body=b"1", ContentType="text/csv")
                answers.append((time.monotonic(), json.loads(answer["Body"].read())["name"]))
            except Exception as lost:
                problems.append(repr(lost))

    threads = [threading.Thread(target=client) for _ in range(3)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    until(lambda: len(answers) > 30)
    site.sagemaker.update_endpoint(EndpointName="load", EndpointConfigName=green, DeploymentConfig=canary(3600, 0, 25))
    until(baking(site, "load"))
    start = time.monotonic()
    until(lambda: sum(1 for at, _ in answers if at > start) > 100)
    end = time.monotonic()
    skip_bakes(site, "load")
    until(lambda: answers[-1][1] == green)
    stop.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(answers) / (time.monotonic() - started) > 50
    during = Counter(name for at, name in answers if start + 0.1 < at < end)
    assert during[green] / during.total() == pytest.approx(0.25, abs=0.05)
    assert answers[-1][1] == green


def test_invocations_are_measured_per_variant_and_per_config_during_a_deployment(site: Site) -> None:
    blue, green = site.config("meter-blue"), site.config("meter-green")
    site.endpoint("meter", blue)
    for body in (b"1", b"1"):
        site.ask("meter", body)
    for body in (b"fail", b"bad"):
        error(partial(site.ask, "meter", body))
    plain = {"EndpointName": "meter", "VariantName": "AllTraffic"}
    assert measured(site, "Invocations", plain) == 4
    assert measured(site, "Invocation5XXErrors", plain) == 1
    assert measured(site, "Invocation4XXErrors", plain) == 1
    assert measured(site, "InvocationModelErrors", plain) == 2
    assert measured(site, "Invocations", plain | {"EndpointConfigName": blue}) is None
    assert (measured(site, "ModelLatency", plain, "Average") or 0) > 100
    site.sagemaker.update_endpoint(EndpointName="meter", EndpointConfigName=green)
    site.settled("meter")
    site.ask("meter")
    assert measured(site, "Invocations", plain | {"EndpointConfigName": green}) == 1
    assert measured(site, "Invocations", plain) == 5


def measured(site: Site, metric: str, dimensions: dict[str, str], statistic: str = "Sum") -> float | None:
    now = site.cloud.clock.now()
    points = site.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": k, "Value": v} for k, v in dimensions.items()],
        StartTime=now - timedelta(hours=12),
        EndTime=now + timedelta(minutes=5),
        Period=86400,
        Statistics=[statistic],
    )["Datapoints"]
    return sum(p[statistic] for p in points) if points else None


def test_the_processes_use_of_cpu_and_memory_is_measured(site: Site) -> None:
    site.endpoint("usage", site.config("usage"))

    def found() -> Any:
        metrics = site.cloudwatch.list_metrics(
            Namespace="/aws/sagemaker/Endpoints", Dimensions=[{"Name": "EndpointName", "Value": "usage"}]
        )["Metrics"]
        return {m["MetricName"] for m in metrics} >= {"CPUUtilization", "MemoryUtilization", "DiskUtilization"}

    until(found)


def test_requests_are_captured_to_s3_by_hour(site: Site) -> None:
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": "s3://site/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    site.endpoint("caught", site.config("caught", DataCaptureConfig=capture))
    for index in range(3):
        site.ask("caught", f"{index}".encode(), InferenceId=f"id-{index}")
    described = site.sagemaker.describe_endpoint(EndpointName="caught")["DataCaptureConfig"]
    assert (described["CaptureStatus"], described["CurrentSamplingPercentage"]) == ("Started", 100)

    def lines() -> Any:
        keys = [o["Key"] for o in site.s3.list_objects_v2(Bucket="site", Prefix="capture/caught/AllTraffic/").get("Contents", [])]
        texts = [line for k in keys for line in site.s3.get_object(Bucket="site", Key=k)["Body"].read().decode().splitlines()]
        return (keys, texts) if len(texts) == 3 else None

    keys, texts = until(lines)
    first = json.loads(texts[0])
    hour = first["eventMetadata"]["inferenceTime"][:13].replace("-", "/").replace("T", "/")
    assert keys[0].startswith(f"capture/caught/AllTraffic/{hour}/")
    assert keys[0].endswith(".jsonl")
    assert first["captureData"]["endpointInput"] == {"observedContentType": "text/csv", "mode": "INPUT", "data": "0", "encoding": "CSV"}
    assert first["captureData"]["endpointOutput"]["encoding"] == "BASE64"
    assert (first["eventMetadata"]["inferenceId"], first["eventVersion"]) == ("id-0", "0")


def test_what_is_captured_is_base64_unless_its_type_is_listed() -> None:
    exchange = Exchange(0.0, "text/csv", b"1,2", "application/json", b"{}", None)
    config: dict[str, Any] = {"CaptureOptions": [{"CaptureMode": "InputAndOutput"}]}

    def sides() -> list[tuple[str, str]]:
        data = json.loads(line(config, exchange))["captureData"]
        return [(data[side]["encoding"], data[side]["data"]) for side in ("endpointInput", "endpointOutput")]

    assert sides() == [("BASE64", "MSwy"), ("BASE64", "e30=")]
    config["CaptureContentTypeHeader"] = {"JsonContentTypes": ["application/json"]}
    assert sides() == [("BASE64", "MSwy"), ("JSON", "{}")]


def test_logs_of_the_container_reach_cloudwatch_logs(site: Site) -> None:
    site.endpoint("loud", site.config("loud", {"FAIL": "start"}))
    logs = site.session.client("logs")

    def events() -> Any:
        if not logs.describe_log_groups(logGroupNamePrefix="/aws/sagemaker/Endpoints/loud")["logGroups"]:
            return []
        streams = logs.describe_log_streams(logGroupName="/aws/sagemaker/Endpoints/loud")["logStreams"]
        return [
            e["message"]
            for s in streams
            for e in logs.get_log_events(logGroupName="/aws/sagemaker/Endpoints/loud", logStreamName=s["logStreamName"])["events"]
        ]

    assert until(events) == ["no way"]


def test_everything_that_was_given_is_described(site: Site) -> None:
    network = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]}
    tags = [{"Key": "team", "Value": "risk"}]
    site.model("full", VpcConfig=network, EnableNetworkIsolation=True, Tags=tags)
    model = site.sagemaker.describe_model(ModelName="full")
    assert (model["VpcConfig"], model["EnableNetworkIsolation"]) == (network, True)
    assert model["PrimaryContainer"]["Image"] == site.image
    assert site.sagemaker.list_tags(ResourceArn=model["ModelArn"])["Tags"] == tags
    variant = {"VariantName": "v", "ModelName": "full", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "VolumeSizeInGB": 5}
    key = "arn:aws:kms:us-east-1:111111111111:key/1234"
    site.sagemaker.create_endpoint_config(EndpointConfigName="full", ProductionVariants=[variant], KmsKeyId=key, Tags=tags)
    config = site.sagemaker.describe_endpoint_config(EndpointConfigName="full")
    assert (config["KmsKeyId"], config["ProductionVariants"]) == (key, [variant])
    site.sagemaker.add_tags(ResourceArn=config["EndpointConfigArn"], Tags=[{"Key": "team", "Value": "fraud"}])
    assert site.sagemaker.list_tags(ResourceArn=config["EndpointConfigArn"])["Tags"] == [{"Key": "team", "Value": "fraud"}]
    names = [m["ModelName"] for m in site.sagemaker.list_models(NameContains="full")["Models"]]
    assert names == ["full"]


def test_a_request_that_kills_the_process_is_an_error_and_kills_no_second_one(site: Site) -> None:
    site.endpoint("deadly", site.config("deadly", count=2))
    before = {site.ask("deadly")["pid"] for _ in range(4)}
    failure = error(lambda: site.ask("deadly", b"die")).response
    assert (failure["Error"]["Code"], failure["OriginalStatusCode"]) == ("ModelError", 0)
    assert len(before & {site.ask("deadly")["pid"] for _ in range(4)}) == 1


def test_asynchronous_inference_is_not_implemented_and_says_so(site: Site) -> None:
    found = error(lambda: site.runtime.invoke_endpoint_async(EndpointName="any", InputLocation="s3://site/x"))
    assert found.response["Error"]["Code"] == "NotImplemented"
    assert found.response["ResponseMetadata"]["HTTPStatusCode"] == 501


@pytest.mark.parametrize(
    "extra",
    [
        {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://site/out"}}},
        {"ShadowProductionVariants": [{"VariantName": "shadow", "ModelName": "m", "InstanceType": "ml.m5.large"}]},
        {"ExplainerConfig": {"ClarifyExplainerConfig": {"ShapConfig": {"ShapBaselineConfig": {"ShapBaseline": "1"}}}}},
    ],
)
def test_a_config_that_would_serve_otherwise_is_not_implemented(site: Site, extra: dict[str, Any]) -> None:
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    (member,) = extra
    with pytest.raises(ClientError, match=f"CreateEndpointConfig with {member} is not part"):
        site.sagemaker.create_endpoint_config(EndpointConfigName="other", ProductionVariants=[variant], **extra)


def test_a_model_of_many_models_is_not_implemented(site: Site) -> None:
    container = {"Image": site.image, "Mode": "MultiModel", "ModelDataUrl": "s3://site/models/"}
    with pytest.raises(ClientError, match="CreateModel with Mode MultiModel is not part"):
        site.sagemaker.create_model(ModelName="many", PrimaryContainer=container)


def test_tags_follow_a_name_with_capitals(site: Site) -> None:
    arn = site.sagemaker.create_model(ModelName="BigModel", PrimaryContainer={"Image": site.image}, Tags=[{"Key": "a", "Value": "b"}])[
        "ModelArn"
    ]
    assert arn.endswith(":model/bigmodel")
    assert site.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_a_model_does_not_take_an_image_with_an_oci_manifest(site: Site) -> None:
    ecr = site.session.client("ecr")
    oci = "application/vnd.oci.image.manifest.v1+json"
    uri, _, digest = site.image.partition("@")
    held = ecr.batch_get_image(repositoryName="serving", imageIds=[{"imageDigest": digest}])["images"][0]["imageManifest"]
    manifest = json.dumps({**json.loads(held), "mediaType": oci})
    put = ecr.put_image(repositoryName="serving", imageManifest=manifest, imageManifestMediaType=oci, imageTag="oci")
    for image in (f"{uri}:oci", f"{uri}@{put['image']['imageId']['imageDigest']}"):
        found = error(lambda image=image: site.sagemaker.create_model(ModelName="oci", PrimaryContainer={"Image": image}))  # type: ignore[misc]
        assert found.response["Error"]["Code"] == "ValidationException"
        assert f"Unsupported manifest media type {oci} for image {image}" in found.response["Error"]["Message"]
