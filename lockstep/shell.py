"""The shell variables with which plain `pulumi`, `aws` and boto3 work on one environment, in either cloud."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from lockstep import stacks
from lockstep.context import home, names, project_root, require_cloud, stack, stacks_folder

LEFTOVERS = (
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "PULUMI_HOME",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_BACKEND_URL",
)


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
        PreflightError: the environment has not been bootstrapped; no credentials of the environment's account.
    """
    from local.engine import language_plugin, locate
    from lockstep.aws import aws_session
    from lockstep.bootstrap import state

    leftovers = _forget_rehearsal()
    config, found = stack(environment).config, names(environment)
    session = aws_session(environment, config)
    secrets = state.read_secrets_file(session, found)
    engine = locate.ensure()
    folder = home() / "aws"
    secrets_file = folder / environment / "secrets.yaml"
    secrets_file.parent.mkdir(parents=True, exist_ok=True)
    secrets_file.write_text(secrets)
    own_home = {} if engine.has_language_host else {"PULUMI_HOME": str(folder / "pulumi")}
    if own_home:
        language_plugin.install(folder / "pulumi")
    profile = {} if session.profile_name == "default" else {"AWS_PROFILE": session.profile_name}
    region = {"AWS_REGION": config.region, "AWS_DEFAULT_REGION": config.region}
    backend = stacks.Backend(state.backend_url(found), secrets_file, {**own_home, **profile, **region})
    if not state.has_stack(session, found, stacks.PROJECT):
        stacks.create_stack(backend, engine, environment, state.secrets_provider(found))
    variables = {**backend.environment(), **_policies(), "LOCKSTEP_TARGET": "aws", "PATH": stacks.search_path(engine)}
    return Variables(variables, tuple(name for name in leftovers if name not in variables))


def _forget_rehearsal() -> tuple[str, ...]:
    """Drops what `lockstep cloud env` left in this shell, here and in the variables to unset: it would lead to the embedded cloud."""
    if os.environ.get("LOCKSTEP_TARGET") != "local":
        return ()
    for name in LEFTOVERS:
        os.environ.pop(name, None)
    return LEFTOVERS


def _policies() -> dict[str, str]:
    pack = project_root() / "policies"
    return {"PULUMI_OPTION_POLICY_PACK": str(pack)} if (pack / "PulumiPolicy.yaml").is_file() else {}
