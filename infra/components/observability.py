"""Notifications, the endpoint's alarms, and the log groups that SageMaker writes to."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.cloudwatch.metric_alarm import MetricAlarm
from pulumi_aws.sns.topic import Topic
from pulumi_aws.sns.topic_policy import TopicPolicy
from pulumi_aws.sns.topic_subscription import TopicSubscription

from infra import grants
from infra.naming import PROJECT, VARIANT
from infra.site import Site

_MICROSECONDS = 1000  # in a millisecond; ModelLatency is in microseconds
JOB_LOG_GROUPS = {"processing": "/aws/sagemaker/ProcessingJobs", "training": "/aws/sagemaker/TrainingJobs"}


@dataclass(frozen=True, kw_only=True)
class LogsArgs:
    site: Site
    key_arn: pulumi.Input[str]


class Logs(pulumi.ComponentResource):
    """The log groups of jobs and endpoint, made before SageMaker makes them: under a customer key, and not kept for ever."""

    def __init__(self, name: str, args: LogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Logs", name, None, opts)
        for what, group in {**JOB_LOG_GROUPS, "endpoint": args.site.names.endpoint_log_group}.items():
            LogGroup(
                f"{name}-{what}",
                name=group,
                retention_in_days=args.site.config.retention.logs,
                kms_key_id=args.key_arn,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})


@dataclass(frozen=True, kw_only=True)
class NotificationsArgs:
    site: Site
    key_arn: pulumi.Input[str]


class Notifications(pulumi.ComponentResource):
    """An encrypted topic that alarms and events of this account publish to, and the team's address behind it.

    Attributes:
        topic_arn: waits for the topic's policy.
    """

    def __init__(self, name: str, args: NotificationsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Notifications", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        topic = Topic(
            f"{name}-topic",
            name=args.site.names.topic,
            display_name=f"{PROJECT.capitalize()} {args.site.names.environment}",
            kms_master_key_id=args.key_arn,
            opts=child,
        )
        policy = TopicPolicy(f"{name}-policy", arn=topic.arn, policy=grants.topic_policy(args.site), opts=child)
        self.topic_arn = pulumi.Output.all(topic.arn, policy.id).apply(lambda values: str(values[0]))
        TopicSubscription(
            f"{name}-operations", topic=topic.arn, protocol="email", endpoint=args.site.config.contacts.operations, opts=child
        )
        self.register_outputs({"topic_arn": self.topic_arn})


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    site: Site
    endpoint_name: pulumi.Input[str]
    topic_arn: pulumi.Input[str]


class Alarms(pulumi.ComponentResource):
    """Endpoint-wide alarms, which a rollout must find OK and lists for auto-rollback beside its own.

    Attributes:
        names: names of the alarms.
    """

    def __init__(self, name: str, args: AlarmsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("lockstep:infra:Alarms", name, None, opts)
        self._args, self._child = args, pulumi.ResourceOptions(parent=self)
        thresholds = args.site.config.alarms.endpoint
        # The average of Invocation5XXErrors is the share of requests that failed, 0 to 1.
        self._alarm(
            name,
            "errors",
            description="Share of requests that end in 5XX",
            metric="Invocation5XXErrors",
            statistic="Average",
            percentile=None,
            threshold=thresholds.error_rate,
        )
        self._alarm(
            name,
            "latency",
            description="p99 of the model's latency in microseconds",
            metric="ModelLatency",
            statistic=None,
            percentile="p99",
            threshold=thresholds.latency_p99_milliseconds * _MICROSECONDS,
        )
        self.names = (args.site.names.alarm("errors"), args.site.names.alarm("latency"))
        self.register_outputs({"names": list(self.names)})

    def _alarm(
        self, name: str, what: str, *, description: str, metric: str, statistic: str | None, percentile: str | None, threshold: float
    ) -> None:
        args, thresholds = self._args, self._args.site.config.alarms.endpoint
        MetricAlarm(
            f"{name}-{what}",
            name=args.site.names.alarm(what),
            alarm_description=description,
            namespace="AWS/SageMaker",
            metric_name=metric,
            dimensions={"EndpointName": args.endpoint_name, "VariantName": VARIANT},
            statistic=statistic,
            extended_statistic=percentile,
            period=thresholds.period_seconds,
            evaluation_periods=thresholds.evaluation_periods,
            datapoints_to_alarm=thresholds.datapoints_to_alarm,
            threshold=threshold,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[args.topic_arn],
            ok_actions=[args.topic_arn],
            opts=self._child,
        )
