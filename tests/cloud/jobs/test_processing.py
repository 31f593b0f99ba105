"""Processing jobs: what the container finds, what becomes of its outputs, how it can end."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

ECHO = """
import json, os, pathlib, sys
out = pathlib.Path(sys.argv[1])
(out / "seen.json").write_text(json.dumps({"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd()}))
print("first line"); print("second line", file=sys.stderr)
"""
HANG = "import signal, time\nprint('up', flush=True)\nwhile True: time.sleep(60)"


@pytest.fixture(scope="module")
def image(lab: Any) -> str:
    uri: str = lab.image({"echo.py": ECHO, "data.txt": "of the image"}, env={"GREETING": "hello", "PLACE": "/opt/program/data.txt"})
    return uri


def s3_input(name: str, uri: str) -> dict[str, Any]:
    place = {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/input/{name}", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    return {"InputName": name, "S3Input": place}


def s3_output(name: str, uri: str, mode: str = "EndOfJob") -> dict[str, Any]:
    return {"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": f"/opt/ml/processing/output/{name}", "S3UploadMode": mode}}


def when_line(lab: Any, name: str, line: str) -> threading.Event:
    """An event that is set when the job has printed `line`."""
    seen = threading.Event()
    job = lab.job("Processing", name)
    job.saw_line = lambda text: seen.set() if text == line else None
    return seen


def is_running(pid: int) -> bool:
    """Whether a process works; one that is dead and not waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestContract:
    def test_a_job_runs_its_entry_point_with_its_arguments_and_environment(self, lab: Any, image: str) -> None:
        request = lab.processing("echo", image, Environment={"COLOUR": "red", "MODEL": "/opt/ml/processing/x", "OTHER": "/opt/mlflow"})
        request["AppSpecification"] |= {
            "ContainerEntrypoint": ["python", "-m", "echo"],
            "ContainerArguments": ["/opt/ml/processing/output/o"],
        }
        request["ProcessingOutputConfig"] = {"Outputs": [s3_output("o", "s3://lab/echo/out")]}
        described = lab.run_processing(request)
        assert described["ProcessingJobStatus"] == "Completed"
        seen = json.loads(lab.get("s3://lab/echo/out/seen.json"))
        env = seen["env"]
        base = env["SAGEMAKER_BASE_DIR"]
        assert seen["argv"][1] == f"{base}/processing/output/o"
        assert env["MODEL"] == f"{base}/processing/x"
        assert env["OTHER"] == "/opt/mlflow"
        assert (env["COLOUR"], env["GREETING"]) == ("red", "hello")
        assert env["PLACE"].endswith("/opt/program/data.txt")
        assert env["PLACE"] != "/opt/program/data.txt"
        assert env["PROCESSING_JOB_NAME"] == "echo"
        assert env["PROCESSING_JOB_ARN"] == described["ProcessingJobArn"]
        assert env["AWS_REGION"] == "us-east-1"

    def test_nothing_of_the_clouds_own_environment_reaches_the_job(self, lab: Any, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOCKSTEP_TEST_SECRET", "yes")
        lab.run_processing(
            lab.processing("clean", image, "import os; print(sorted(os.environ)); import importlib.util as u; print(u.find_spec('moto'))")
        )
        names, moto = lab.log_lines("Processing", "clean")
        assert "LOCKSTEP_TEST_SECRET" not in names
        assert moto == "None"

    def test_output_goes_to_cloudwatch_logs_in_order(self, lab: Any, image: str) -> None:
        lab.run_processing(lab.processing("talk", image, "for i in range(2500): print('line', i)"))
        events = []
        stream = lab.logs.describe_log_streams(logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix="talk/")["logStreams"][0]
        paginated = {"logGroupName": "/aws/sagemaker/ProcessingJobs", "logStreamName": stream["logStreamName"], "startFromHead": True}
        page = lab.logs.get_log_events(**paginated)
        while page["events"]:
            events += [event["message"] for event in page["events"]]
            page = lab.logs.get_log_events(**paginated, nextToken=page["nextForwardToken"])
        assert events == [f"line {i}" for i in range(2500)]
        assert stream["logStreamName"].startswith("talk/algo-1-")

    def test_config_files_tell_the_job_about_itself(self, lab: Any, image: str) -> None:
        code = (
            "import os; b = os.environ['SAGEMAKER_BASE_DIR'] + '/config/'\n"
            "for f in ('processingjobconfig', 'resourceconfig'): print(open(b + f + '.json').read())"
        )
        lab.run_processing(lab.processing("config", image, code))
        job, resources = map(json.loads, lab.log_lines("Processing", "config"))
        assert job["ProcessingJobName"] == "config"
        assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])

    def test_the_job_acts_with_the_credentials_of_its_role(self, lab: Any, image: str) -> None:
        lab.run_processing(
            lab.processing("keys", image, "import os; print(os.environ['AWS_ACCESS_KEY_ID']); print(os.environ['AWS_ENDPOINT_URL'])")
        )
        key, url = lab.log_lines("Processing", "keys")
        assert url == lab.cloud.url
        assert lab.cloud.accounts.resolve(key).principal_arn == lab.role

    def test_an_isolated_job_has_no_credentials(self, lab: Any, image: str) -> None:
        request = lab.processing(
            "isolated", image, "import os; print([n for n in os.environ if n.startswith('AWS_') and 'REGION' not in n])"
        )
        lab.run_processing(request | {"NetworkConfig": {"EnableNetworkIsolation": True}})
        assert lab.log_lines("Processing", "isolated") == ["['AWS_EC2_METADATA_DISABLED']"]


class TestData:
    def test_a_prefix_brings_every_object_below_it_and_an_object_its_own_name(self, lab: Any, image: str) -> None:
        lab.put("tree/a.csv", "1")
        lab.put("tree/deep/b.csv", "2")
        code = (
            "import os, pathlib; b = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'processing/input')\n"
            "for p in sorted(b.rglob('*.csv')): print(p.relative_to(b), p.read_text())"
        )
        request = lab.processing("inputs", image, code)
        request["ProcessingInputs"] = [
            s3_input("all", "s3://lab/tree/"),
            s3_input("bare", "s3://lab/tree"),
            s3_input("one", "s3://lab/tree/a.csv"),
        ]
        lab.run_processing(request)
        assert lab.log_lines("Processing", "inputs") == [
            "all/a.csv 1",
            "all/deep/b.csv 2",
            "bare/a.csv 1",
            "bare/deep/b.csv 2",
            "one/a.csv 1",
        ]

    def test_outputs_are_uploaded_whole_without_links_and_with_the_key(self, lab: Any, image: str) -> None:
        key = lab.session.client("kms").create_key()["KeyMetadata"]["Arn"]
        code = (
            "import os, pathlib; o = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'processing/output/o'); (o / 'sub').mkdir()\n"
            "(o / 'sub/x').write_text('x'); (o / 'y').write_text('y'); (o / 'link').symlink_to(o / 'y')"
        )
        config = {"KmsKeyId": key, "Outputs": [s3_output("o", "s3://lab/outputs")]}
        assert (
            lab.run_processing(lab.processing("outputs", image, code, ProcessingOutputConfig=config))["ProcessingJobStatus"] == "Completed"
        )
        assert lab.keys("outputs/") == ["outputs/sub/x", "outputs/y"]
        assert lab.s3.head_object(Bucket="lab", Key="outputs/y")["SSEKMSKeyId"] == key

    def test_an_input_that_is_not_there_fails_the_job_before_it_runs(self, lab: Any, image: str) -> None:
        request = lab.processing("missing-input", image, "print('ran')", ProcessingInputs=[s3_input("i", "s3://lab/no/such/")])
        described = lab.run_processing(request)
        assert described["ProcessingJobStatus"] == "Failed"
        assert "No S3 objects found under S3 URL 's3://lab/no/such/'" in described["FailureReason"]


class TestEnds:
    def test_a_message_becomes_the_exit_message_cut_at_a_kilobyte(self, lab: Any, image: str) -> None:
        code = "import os; open(os.environ['SAGEMAKER_BASE_DIR'] + '/output/message', 'w').write('m' * 2000); raise SystemExit(3)"
        described = lab.run_processing(lab.processing("message", image, code))
        assert described["ProcessingJobStatus"] == "Failed"
        assert described["ExitMessage"] == "m" * 1024
        assert described["FailureReason"] == "AlgorithmError: See job logs for more information, exit code: 3"

    def test_a_failed_job_keeps_only_continuous_outputs(self, lab: Any, image: str) -> None:
        code = (
            "import os, pathlib; o = pathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'processing/output')\n"
            "for n in 'ab': (o / n / 'f').write_text(n)\n"
            "raise SystemExit(1)"
        )
        config = {"Outputs": [s3_output("a", "s3://lab/failed/a"), s3_output("b", "s3://lab/failed/b", "Continuous")]}
        lab.run_processing(lab.processing("half", image, code, ProcessingOutputConfig=config))
        assert lab.keys("failed/") == ["failed/b/f"]

    def test_a_killed_process_fails_the_job_and_says_so(self, lab: Any, image: str) -> None:
        described = lab.run_processing(lab.processing("killed", image, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
        assert described["ProcessingJobStatus"] == "Failed"
        assert described["FailureReason"].endswith("exit code: 137")

    def test_stop_ends_a_running_job(self, lab: Any, image: str) -> None:
        lab.sagemaker.create_processing_job(**lab.processing("stopped", image, HANG))
        assert when_line(lab, "stopped", "up").wait(90)
        lab.sagemaker.stop_processing_job(ProcessingJobName="stopped")
        assert lab.ended("Processing", "stopped")["ProcessingJobStatus"] == "Stopped"
        with pytest.raises(ClientError, match="The request was rejected because the processing job is in status Stopped"):
            lab.sagemaker.stop_processing_job(ProcessingJobName="stopped")

    def test_a_job_that_ignores_sigterm_is_killed_after_its_grace(self, lab: Any, image: str) -> None:
        lab.sagemaker.create_processing_job(
            **lab.processing("stubborn", image, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HANG)
        )
        assert when_line(lab, "stubborn", "up").wait(90)
        lab.job("Processing", "stubborn").stop_grace = 0.2
        lab.sagemaker.stop_processing_job(ProcessingJobName="stubborn")
        assert lab.ended("Processing", "stubborn")["ProcessingJobStatus"] == "Stopped"

    def test_a_job_that_overruns_is_stopped(self, lab: Any, image: str) -> None:
        described = lab.run_processing(lab.processing("long", image, HANG, StoppingCondition={"MaxRuntimeInSeconds": 1}))
        assert described["ProcessingJobStatus"] == "Stopped"

    def test_what_a_job_leaves_running_ends_with_it(self, lab: Any, image: str) -> None:
        code = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); print(p.pid)"
        lab.run_processing(lab.processing("stray", image, code))
        pid = int(lab.log_lines("Processing", "stray")[0])
        assert not is_running(pid)

    def test_a_program_that_is_not_there_fails_with_its_name(self, lab: Any, image: str) -> None:
        request = lab.processing("no-program", image)
        request["AppSpecification"]["ContainerEntrypoint"] = ["no-such-program"]
        assert "'no-such-program' can't be started" in lab.run_processing(request)["FailureReason"]

    def test_nothing_of_a_job_is_left_on_disk(self, lab: Any, image: str) -> None:
        lab.run_processing(lab.processing("tidy", image, "print(1)"))
        assert not list((lab.cloud.home / "jobs").rglob("processing-job-tidy"))
        assert not list((lab.cloud.home / "tmp").iterdir())


class TestRequests:
    def test_a_name_can_be_used_once(self, lab: Any, image: str) -> None:
        lab.run_processing(lab.processing("once", image, "print(1)"))
        with pytest.raises(ClientError, match="already exists") as raised:
            lab.sagemaker.create_processing_job(**lab.processing("once", image, "print(1)"))
        assert raised.value.response["Error"]["Code"] == "ResourceInUse"

    def test_unknown_jobs_are_not_found(self, lab: Any) -> None:
        with pytest.raises(ClientError, match="Could not find requested job with name: nobody") as raised:
            lab.sagemaker.describe_processing_job(ProcessingJobName="nobody")
        assert raised.value.response["Error"]["Code"] == "ValidationException"

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"ProcessingJobName": "no_underscore"},
                "at 'processingJobName' failed to satisfy constraint: Member must satisfy regular expression",
            ),
            ({"StoppingCondition": {"MaxRuntimeInSeconds": 999_999_999}}, "Member must have value less than or equal to"),
            ({"RoleArn": "arn:aws:iam::111111111111:role/nobody"}, "Could not assume role arn:aws:iam::111111111111:role/nobody"),
            ({"RoleArn": "arn:aws:iam::222222222222:role/jobs"}, "Cross-account pass role is not allowed"),
            ({"AppSpecification": {"ImageUri": "docker.io/library/python:3"}}, "is not the name of an image in Amazon ECR"),
            (
                {
                    "ProcessingInputs": [
                        {"InputName": "i", "S3Input": {"S3Uri": "s3://lab/x", "LocalPath": "/tmp/x", "S3DataType": "S3Prefix"}}
                    ]
                },
                "LocalPath of i must begin with /opt/ml/processing/",
            ),
        ],
    )
    def test_a_wrong_request_is_refused(self, lab: Any, image: str, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ClientError, match=message):
            lab.sagemaker.create_processing_job(**(lab.processing("wrong", image, "print(1)") | change))

    def test_a_role_that_does_not_trust_sagemaker_is_refused(self, lab: Any, image: str) -> None:
        other = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
        }
        role = lab.role_named("for-ec2", other)
        with pytest.raises(ClientError, match="Could not assume role"):
            lab.sagemaker.create_processing_job(**lab.processing("untrusted", image, "print(1)", RoleArn=role))

    def test_what_is_not_interpreted_says_so_once(self, lab: Any, image: str) -> None:
        request = lab.processing("fleet", image, "print(1)")
        request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
        with pytest.raises(ClientError, match="several instances is not part of the embedded cloud") as raised:
            lab.sagemaker.create_processing_job(**request)
        assert raised.value.response["ResponseMetadata"]["RetryAttempts"] == 0

    def test_jobs_are_listed_by_status_and_page(self, lab: Any, image: str) -> None:
        for name in ("list-a", "list-b", "list-c"):
            lab.run_processing(lab.processing(name, image, "print(1)"))
        asked = {"NameContains": "list-", "StatusEquals": "Completed", "SortBy": "Name", "SortOrder": "Ascending"}
        first = lab.sagemaker.list_processing_jobs(**asked, MaxResults=2)
        second = lab.sagemaker.list_processing_jobs(**asked, MaxResults=2, NextToken=first["NextToken"])
        names = [item["ProcessingJobName"] for page in (first, second) for item in page["ProcessingJobSummaries"]]
        assert names == ["list-a", "list-b", "list-c"]
        assert "NextToken" not in second
