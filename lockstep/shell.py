"""The shell variables with which plain `pulumi`, `aws` and boto3 work on one environment, in either cloud."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from lockstep import stacks
from lockstep.context import home, names, project_root, require_cloud, stack, stacks_folder

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@dataclass(frozen=True)
class Variables:
    """Variables to set, and those to remove because they would lead elsewhere."""

    set: dict[str, str]
    unset: tuple[str, ...]

    def script(self) -> str:
        """Lines for a shell to evaluate."""
        lines = [f"export {name}={shlex.quote(value)}" for name, value in self.set.items()]
        return "\n".join([*lines, *(f"unset {name}" for name in self.unset)])

    def environment(self) -> dict[str, str]:
        """The environment of a child process that has them."""
        return {**{name: value for name, value in os.environ.items() if name not in self.unset}, **self.set}


def local(environment: str) -> Variables:
    """For the embedded cloud. Makes ready what the engine needs: plugins, and a stack for each stack file."""
    from infra.config import stack_names
    from local.engine import locate
    from lockstep import aws

    cloud = require_cloud()
    config = stack(environment).config
    engine = locate.ensure()
    backend = stacks.prepare_rehearsal(home(), engine, stack_names(stacks_folder()))
    return Variables(
        {
            "AWS_ENDPOINT_URL": cloud.url,
            **aws.local_credentials(config.account_id, config.region, cloud),
            "AWS_REGION": config.region,
            "AWS_DEFAULT_REGION": config.region,
            **backend.environment(),
            **_policies(),
            "LOCKSTEP_TARGET": "local",
            "PATH": stacks.search_path(engine),
        },
        ("AWS_PROFILE",),
    )


def aws(environment: str) -> Variables:
    """For AWS: the state and the key that `lockstep bootstrap` made. Credentials stay the shell's own affair.

    Raises:
        ConfigError: the environment has not been bootstrapped.
        PreflightError: no credentials of the environment's account.
    """
    from local.engine import locate
    from lockstep.aws import aws_session
    from lockstep.bootstrap.state import read_secrets_file, state_bucket

    config = stack(environment).config
    session = aws_session(environment, config)
    engine = locate.ensure()
    found = names(environment)
    folder = home() / "aws" / environment
    folder.mkdir(parents=True, exist_ok=True)
    secrets_file = folder / "secrets.yaml"
    secrets_file.write_text(read_secrets_file(session, found))
    url = f"s3://{state_bucket(found)}?region={config.region}&awssdk=v2"
    backend = stacks.Backend(url, secrets_file)
    return Variables(
        {
            "AWS_REGION": config.region,
            "AWS_DEFAULT_REGION": config.region,
            **({"AWS_PROFILE": session.profile_name} if session.profile_name != "default" else {}),
            **backend.environment(),
            **_policies(),
            "LOCKSTEP_TARGET": "aws",
            "PATH": stacks.search_path(engine),
        },
        ("PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE", *(("AWS_ENDPOINT_URL", *CREDENTIALS) if _speaks_to_loopback() else ())),
    )


def _speaks_to_loopback() -> bool:
    """Whether the shell's AWS variables are those of an embedded cloud, left by `lockstep cloud env`."""
    return "//127.0.0.1:" in os.environ.get("AWS_ENDPOINT_URL", "")


def _policies() -> dict[str, str]:
    pack = project_root() / "policies"
    return {"PULUMI_OPTION_POLICY_PACK": str(pack)} if (pack / "PulumiPolicy.yaml").is_file() else {}
