"""Where the official provider that judges knows a thing by another name than pulumi-aws does, and why. Nothing else is forgiven."""

from __future__ import annotations

# Types whose token does not tell the official name.
TYPE_NAMES = {
    "aws:s3/bucketObjectv2:BucketObjectv2": "aws_s3_object",
}

# Arguments that the bridge calls something else than its rules say: (official type, Pulumi's name) -> official name.
RENAMED = {
    ("aws_cloudwatch_metric_alarm", "name"): "alarm_name",
    ("aws_sns_topic_subscription", "topic"): "topic_arn",
}

# pulumi-aws 7 bridges the provider's version 6; the judge may be a version 5. What the program uses and version 5 lacks or names otherwise
# goes here, with the reason: (official type, Pulumi's name) -> version 5's name, or None where it has none. So far there is nothing.
VERSION_5: dict[tuple[str, str], str | None] = {}

# What the plugin of the rehearsal replaces and the official one changes in place, by decision: (official type, argument) -> why.
DECIDED_OTHERWISE = {
    ("aws_route_table_association", "route_table_id"): "the change in place gives it another id, which an engine's update can't take up",
}

# Attributes that our plugin does not read, by decision: (official type, attribute) -> why.
_DEPRECATED = "a resource type of its own has taken its place"
LEFT_OUT = {
    ("aws_s3_bucket", "grant"): _DEPRECATED,
    ("aws_s3_bucket", "versioning"): _DEPRECATED,
    ("aws_s3_bucket", "object_lock_configuration"): _DEPRECATED,
    ("aws_vpc_endpoint", "subnet_configuration"): "the addresses of its network interfaces, which nothing here sets or uses",
    ("aws_cloudwatch_event_rule", "is_enabled"): "deprecated: `state` has taken its place",
    ("aws_sns_topic", "policy"): "read where the program sets it; a policy has a resource type of its own",
    ("aws_sns_topic_subscription", "confirmation_was_authenticated"): "kept as it was at the last deployment: people confirm between two",
    ("aws_sns_topic_subscription", "pending_confirmation"): "kept as it was at the last deployment: people confirm between two",
}
