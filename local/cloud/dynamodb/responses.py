"""Requests to DynamoDB, one at a time in each account: moto looks at a condition first and writes after."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import Any

from moto.dynamodb.responses import DynamoHandler

_LOCKS: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)


class DynamoResponse(DynamoHandler):
    """moto's handler behind the account's lock."""

    def call_action(self) -> Any:
        with _LOCKS[self.current_account]:
            return super().call_action()

    def tag_resource(self) -> Any:
        """A tag takes the place of one with the same key; moto puts it beside that."""
        self.dynamodb_backend.untag_resource(self.body["ResourceArn"], [tag["Key"] for tag in self.body["Tags"]])
        return super().tag_resource()
