"""CloudWatch Logs keeps the cloud's time, however far it is from this machine's."""

from __future__ import annotations

import time
from pathlib import Path

from local.cloud.server import running

DAY = 86400


def test_events_of_a_cloud_a_day_ahead_are_kept_and_others_refused(tmp_path: Path) -> None:
    with running(tmp_path, offset=DAY) as cloud:
        logs = cloud.session("111111111111", "us-east-1").client("logs")
        logs.create_log_group(logGroupName="g")
        logs.create_log_stream(logGroupName="g", logStreamName="s")
        now = int(cloud.clock.time() * 1000)
        stamps = [now - 15 * DAY * 1000, now, now + 3 * 3600 * 1000]
        events = [{"timestamp": stamp, "message": f"{index}"} for index, stamp in enumerate(stamps)]
        answer = logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=events)
        assert answer["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 2}
        kept = logs.get_log_events(logGroupName="g", logStreamName="s")["events"]
        assert [event["message"] for event in kept] == ["1"]
        assert kept[0]["ingestionTime"] > time.time() * 1000 + DAY * 1000 / 2
        stream = logs.describe_log_streams(logGroupName="g")["logStreams"][0]
        assert stream["creationTime"] > time.time() * 1000 + DAY * 1000 / 2
