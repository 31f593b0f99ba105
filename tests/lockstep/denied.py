"""A session whose rights do not reach one service."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError


class Denied:
    def __init__(self, session: Any, service: str) -> None:
        self._session = session
        self._service = service

    def client(self, service: str) -> Any:
        made = self._session.client(service)
        if service == self._service:
            made.meta.events.register("before-call", self._refuse)
        return made

    def _refuse(self, model: Any, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, model.name)
