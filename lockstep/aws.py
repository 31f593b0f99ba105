"""Sessions: whose rights a command has, and which cloud its clients speak to."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ProfileNotFound

from infra.errors import PreflightError
from lockstep.cloud_process import RunningCloud

ADMINISTRATOR = "OrganizationAccountAccessRole"
SESSION_NAME = "lockstep"
SESSION_SECONDS = 12 * 3600


class LocalSession(boto3.Session):
    """A boto3 session whose clients speak to the embedded cloud, whatever the shell's variables say."""

    def __init__(self, endpoint: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.endpoint = endpoint

    def client(self, *arguments: Any, **keywords: Any) -> Any:
        return super().client(*arguments, **{"endpoint_url": self.endpoint, **keywords})  # type: ignore[call-overload]

    def resource(self, *arguments: Any, **keywords: Any) -> Any:
        return super().resource(*arguments, **{"endpoint_url": self.endpoint, **keywords})  # type: ignore[call-overload]


def local_credentials(account_id: str, region: str, cloud: RunningCloud) -> dict[str, str]:
    """Credentials of an account of the embedded cloud, as environment variables, by AssumeRole as an organisation would do it."""
    caller = boto3.Session(aws_access_key_id="lockstep", aws_secret_access_key="lockstep", region_name=region)
    role = f"arn:aws:iam::{account_id}:role/{ADMINISTRATOR}"
    sts = caller.client("sts", endpoint_url=cloud.url)
    given = sts.assume_role(RoleArn=role, RoleSessionName=SESSION_NAME, DurationSeconds=SESSION_SECONDS)["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


def local_session(account_id: str, region: str, cloud: RunningCloud) -> boto3.Session:
    """A session in one account of the embedded cloud."""
    given = local_credentials(account_id, region, cloud)
    return LocalSession(
        cloud.url,
        aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=given["AWS_SESSION_TOKEN"],
        region_name=region,
    )


def aws_session(environment: str, account_id: str, region: str) -> boto3.Session:
    """A session in the environment's account: the shell's own credentials if they are of that account, else the AWS profile
    `lockstep-<environment>`, which lets one command speak to two environments.

    Raises:
        PreflightError: neither gives credentials of that account.
    """
    found: list[str] = []
    for label, profile in (("the credentials of this shell", None), (f"the profile lockstep-{environment}", f"lockstep-{environment}")):
        try:
            session = boto3.Session(profile_name=profile, region_name=region)
            account = str(session.client("sts").get_caller_identity()["Account"])
        except ProfileNotFound:
            found.append(f"{label} does not exist")
        except NoCredentialsError:
            found.append(f"{label} are missing")
        except (BotoCoreError, ClientError) as error:
            found.append(f"{label}: {error}")
        else:
            if account == account_id:
                return session
            found.append(f"{label} belong to account {account}")
    raise PreflightError(
        f"no credentials for account {account_id}: " + "; ".join(found),
        where=f"environment {environment}",
        remedy=f"Sign in to account {account_id}, or make a profile lockstep-{environment}. For the rehearsal: `lockstep cloud up`.",
    )
