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
