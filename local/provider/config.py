"""The provider's own configuration: checked, filled in from the environment's standard AWS variables, resolved to credentials."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from local.provider.api import Api, Clients, Settings
from local.provider.errors import AwsError, ConfigError, ProviderError
from local.provider.shapes import Problems, suggestion
from local.provider.wire import UNKNOWN, contains_unknown

_STRUCTURED = ("allowedAccountIds", "forbiddenAccountIds", "defaultTags", "ignoreTags", "assumeRoles", "assumeRole", "endpoints",
               "sharedConfigFiles", "sharedCredentialsFiles")  # fmt: skip
_FLAGS = ("skipCredentialsValidation", "skipMetadataApiCheck", "skipRegionValidation", "skipRequestingAccountId", "s3UsePathStyle",
          "useDualstackEndpoint", "useFipsEndpoint", "insecure")  # fmt: skip
_TEXTS = ("region", "accessKey", "secretKey", "token", "profile", "maxRetries", "version", "retryMode", "stsRegion",
          "s3UsEast1RegionalEndpoint", "customCaBundle", "httpProxy", "httpsProxy", "noProxy", "tokenBucketRateLimiterCapacity",
          "ec2MetadataServiceEndpoint", "ec2MetadataServiceEndpointMode", "pluginDownloadUrl", "userAgents")  # fmt: skip
KNOWN = frozenset((*_STRUCTURED, *_FLAGS, *_TEXTS))


@cache
def _regions() -> frozenset[str]:
    """All regions that AWS had when the installed botocore was made."""
    session = botocore.session.get_session()
    return frozenset(
        region for partition in session.get_available_partitions() for region in session.get_available_regions("sts", partition)
    )


def parse(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Provider inputs with the SDK's JSON texts unfolded."""
    made: dict[str, Any] = {}
    for name, value in raw.items():
        if isinstance(value, str) and name in (*_STRUCTURED, *_FLAGS) and value:
            try:
                value = json.loads(value)
            except ValueError as error:
                raise ConfigError(f"provider aws: {name}: expected JSON, found {value!r}") from error
        made[name] = value
    return made


def check(raw: Mapping[str, Any], environment: Mapping[str, str]) -> Problems:
    """What is wrong with provider inputs, as far as it is known before AWS is asked."""
    problems = Problems()
    for name in raw:
        if name not in KNOWN and not name.startswith("__"):
            problems.add(name, f"could not validate provider configuration: unknown property{suggestion(name, dict.fromkeys(KNOWN))}")
    try:
        args = parse(raw)
    except ConfigError as error:
        problems.add("", str(error))
        return problems
    region = args.get("region", _region(environment))
    if not region:
        problems.add("region", "Missing region configuration: set it on the provider, as aws:region, or as AWS_REGION")
    elif region is not UNKNOWN and not args.get("skipRegionValidation") and str(region) not in _regions():
        problems.add("region", f"Invalid AWS Region: {region}{suggestion(str(region), dict.fromkeys(_regions()))}")
    for name in ("allowedAccountIds", "forbiddenAccountIds"):
        value = args.get(name)
        if value is not None and not contains_unknown(value) and not _account_list(value):
            problems.add(name, f"expected a list of account ids of 12 digits, found {value!r}")
    if args.get("allowedAccountIds") and args.get("forbiddenAccountIds"):
        problems.add("allowedAccountIds", "conflicts with forbiddenAccountIds")
    return problems


def _account_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) and re.fullmatch(r"\d{12}", v) for v in value)


def _region(environment: Mapping[str, str]) -> str | None:
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")


def resolve(raw: Mapping[str, Any], environment: Mapping[str, str], clients: Clients) -> tuple[Settings, str]:
    """The settings and the account id behind them. Raises ConfigError if the account is not one that is allowed."""
    args = parse(raw)
    region = args.get("region") or _region(environment)
    if not region:
        raise ConfigError("Missing region configuration")
    settings = _credentials(
        Settings(
            region=str(region),
            access_key=args.get("accessKey"),
            secret_key=args.get("secretKey"),
            token=args.get("token"),
            profile=args.get("profile"),
            endpoint=environment.get("AWS_ENDPOINT_URL") or None,
            endpoints=_endpoints(args.get("endpoints"), environment),
            default_tags=_tags(args.get("defaultTags")),
            ignore_tag_keys=tuple((args.get("ignoreTags") or {}).get("keys", ())),
            ignore_tag_prefixes=tuple((args.get("ignoreTags") or {}).get("keyPrefixes", ())),
            max_retries=int(args.get("maxRetries") or 3),
            path_style=bool(args.get("s3UsePathStyle")),
        ),
        environment,
    )
    roles = args.get("assumeRoles") or ([args["assumeRole"]] if args.get("assumeRole") else [])
    for role in roles:
        settings = _assume(settings, role, clients)
    account = "" if args.get("skipRequestingAccountId") else _account(settings, clients)
    allowed, forbidden = args.get("allowedAccountIds") or [], args.get("forbiddenAccountIds") or []
    if (allowed and account not in allowed) or account in forbidden:
        wanted = f" of {' or '.join(str(each) for each in allowed)}" if allowed else " of another account"
        raise ConfigError(f"AWS account ID not allowed: {account}. Work with credentials{wanted}, or on this account's own stack")
    return settings, account


def _tags(value: Any) -> dict[str, str]:
    tags = (value or {}).get("tags") or {}
    return {str(k): str(v) for k, v in tags.items() if v is not None}


def _endpoints(value: Any, environment: Mapping[str, str]) -> dict[str, str]:
    made = {
        name.removeprefix("AWS_ENDPOINT_URL_").lower().replace("_", "-"): url
        for name, url in environment.items()
        if name.startswith("AWS_ENDPOINT_URL_") and url
    }
    for block in [value] if isinstance(value, Mapping) else value or []:
        made.update({str(service): str(url) for service, url in block.items() if url})
    return made


def _credentials(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """Keys as given, else from the environment, else wherever botocore finds them."""
    if settings.access_key or settings.profile:
        return settings
    if environment.get("AWS_ACCESS_KEY_ID"):
        return replace(
            settings,
            access_key=environment["AWS_ACCESS_KEY_ID"],
            secret_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            token=environment.get("AWS_SESSION_TOKEN") or None,
        )
    profile = environment.get("AWS_PROFILE")
    if profile:
        return replace(settings, profile=profile)
    found = botocore.session.Session().get_credentials() if environment is os.environ else None
    if found is None:
        raise ConfigError(
            "No valid credential sources found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the provider's keys"
        )
    return settings


def _assume(settings: Settings, role: Mapping[str, Any], clients: Clients) -> Settings:
    params: dict[str, Any] = {"RoleArn": role.get("roleArn"), "RoleSessionName": role.get("sessionName") or "pulumi-aws"}
    for name, member in (("externalId", "ExternalId"), ("policy", "Policy"), ("tags", None), ("duration", None)):
        if member and role.get(name):
            params[member] = role[name]
    try:
        answer = Api(settings, clients, "").call("sts", "AssumeRole", **params)["Credentials"]
    except (AwsError, ProviderError, BotoCoreError, ClientError) as error:
        raise ConfigError(f"Cannot assume IAM Role {role.get('roleArn')}: {error}") from error
    return replace(
        settings, access_key=answer["AccessKeyId"], secret_key=answer["SecretAccessKey"], token=answer["SessionToken"], profile=None
    )


def _account(settings: Settings, clients: Clients) -> str:
    try:
        return str(Api(settings, clients, "").call("sts", "GetCallerIdentity")["Account"])
    except (ProviderError, BotoCoreError) as error:
        silent = isinstance(error.__cause__, EndpointConnectionError) and settings.endpoint
        advice = ". No cloud answers there: start it with `lockstep cloud up`, then ask for its variables again" if silent else ""
        raise ConfigError(f"validating provider credentials: retrieving caller identity from STS: {error}{advice}") from error


def folder(environment: Mapping[str, str]) -> Path:
    """The working folder that paths of assets are relative to."""
    return Path(environment.get("PWD", "."))
