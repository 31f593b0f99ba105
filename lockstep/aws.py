"""Sessions: whose rights a command has, and which cloud its clients speak to."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from infra.errors import PreflightError
from lockstep.cloud_process import RunningCloud

if TYPE_CHECKING:
    from infra.config import EnvironmentConfig

ADMINISTRATOR = "OrganizationAccountAccessRole"
SESSION_NAME = "lockstep"
SESSION_SECONDS = 12 * 3600
# Who acts in the embedded cloud, as the session name of every call: a rehearsal of an approval needs two people.
PERSON_VARIABLE = "LOCKSTEP_PERSON"

# The one pair of keys that a fresh embedded cloud knows, of its organisation's management account (`local.cloud.accounts`; a test
# compares them, because importing that module costs a second).
LOCAL_ACCESS_KEY = "AKIALOCKSTEPLOCALKEY"
LOCAL_SECRET_KEY = "embedded-cloud-has-no-secrets"


class LocalSession(boto3.Session):
    """A boto3 session in one account of the embedded cloud, whatever the shell's variables say.

    Its credentials renew themselves: a cloud whose clock runs fast lets twelve hours pass in minutes.
    """

    def __init__(self, account_id: str, region: str, cloud: RunningCloud) -> None:
        def fetch() -> dict[str, str]:
            given = local_credentials(account_id, region, cloud)
            ends = datetime.now(UTC) + timedelta(seconds=self.lifetime)
            keys = {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY", "token": "AWS_SESSION_TOKEN"}
            return {**{name: given[variable] for name, variable in keys.items()}, "expiry_time": ends.isoformat()}

        self.endpoint = cloud.url
        self.lifetime = SESSION_SECONDS / float(cloud.clock()["speed"])
        core = _without_profile()
        renewing = RefreshableCredentials.create_from_metadata(
            metadata=fetch(),
            refresh_using=fetch,
            method="assume-role",
            advisory_timeout=int(self.lifetime / 4),
            mandatory_timeout=int(self.lifetime / 8),
        )
        core._credentials = renewing  # the one way to give a session credentials that renew themselves
        super().__init__(botocore_session=core, region_name=region)

    def client(self, *arguments: Any, **keywords: Any) -> Any:
        return super().client(*arguments, **{"endpoint_url": self.endpoint, **keywords})

    def resource(self, *arguments: Any, **keywords: Any) -> Any:
        return super().resource(*arguments, **{"endpoint_url": self.endpoint, **keywords})


def _without_profile() -> botocore.session.Session:
    """A session that does not look for the shell's AWS_PROFILE: it is of another cloud, and may not exist here."""
    return botocore.session.Session(session_vars={"profile": (None, None, None, None)})


def local_credentials(account_id: str, region: str, cloud: RunningCloud) -> dict[str, str]:
    """Credentials of an account of the embedded cloud, as environment variables, by AssumeRole as an organisation would do it."""
    caller = boto3.Session(
        aws_access_key_id=LOCAL_ACCESS_KEY,
        aws_secret_access_key=LOCAL_SECRET_KEY,
        region_name=region,
        botocore_session=_without_profile(),
    )
    role = f"arn:aws:iam::{account_id}:role/{ADMINISTRATOR}"
    sts = caller.client("sts", endpoint_url=cloud.url)
    person = os.environ.get(PERSON_VARIABLE) or SESSION_NAME
    given = sts.assume_role(RoleArn=role, RoleSessionName=person, DurationSeconds=SESSION_SECONDS)["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


def aws_session(environment: str, config: EnvironmentConfig) -> boto3.Session:
    """A session in the environment's account. Tried in turn: the shell's own credentials; the role `assumeRoleArn` of the stack file;
    the AWS profile `lockstep-<environment>`, which lets one command speak to two environments.

    Raises:
        PreflightError: none gives credentials of that account.
    """
    own = f"the profile lockstep-{environment}"
    attempts: list[tuple[str, Callable[[], boto3.Session]]] = [
        ("the shell's credentials", lambda: boto3.Session(region_name=config.region))
    ]
    if config.assume_role_arn is not None:
        role = config.assume_role_arn
        attempts.append((role, lambda: assumed(role, config.region)))
    attempts.append((own, lambda: boto3.Session(profile_name=f"lockstep-{environment}", region_name=config.region)))
    said: list[str] = []
    for label, make in attempts:
        try:
            session = make()
            account = str(session.client("sts").get_caller_identity()["Account"])
        except ProfileNotFound:
            said.append(f"{label}: there is no such profile")
        except (BotoCoreError, ClientError) as error:
            said.append(f"{label}: {error}")
        else:
            if account == config.account_id:
                return session
            said.append(f"{label}: of account {account}")
    raise PreflightError(
        f"no credentials for account {config.account_id} ({'; '.join(said)})",
        where=f"environment {environment}",
        remedy=f"Sign in to account {config.account_id}, or make {own}. For the rehearsal: `lockstep cloud up`.",
    )


def assumed(role: str, region: str) -> boto3.Session:
    """A session of a role, assumed with the shell's own credentials and under their person's name: approvals compare persons."""
    sts = boto3.Session(region_name=region).client("sts")
    person = re.sub(r"[^\w+=,.@-]", "-", sts.get_caller_identity()["Arn"].rpartition("/")[2])
    given = sts.assume_role(RoleArn=role, RoleSessionName=person[-64:])["Credentials"]
    return boto3.Session(
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        region_name=region,
    )
