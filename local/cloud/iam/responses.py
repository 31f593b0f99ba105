"""Requests to IAM that moto lacks: the policy simulator, on the same evaluator that guards calls; and policies in use stay."""

from __future__ import annotations

import json
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse as MotoIamResponse

from local.cloud.aws_errors import CloudError
from local.cloud.iam.identity import Identity, identity_of
from local.cloud.iam.policy import Principal, Question, Verdict, evaluate


class IamResponse(MotoIamResponse):
    """moto's IAM with the simulator."""

    def delete_policy(self) -> Any:
        arn = self._get_param("PolicyArn")
        if self.backend.get_policy(arn).attachment_count:
            raise CloudError("DeleteConflict", "Cannot delete a policy attached to entities.", 409)
        return super().delete_policy()

    def simulate_principal_policy(self) -> ActionResult:
        arn = self._get_param("PolicySourceArn")
        identity = identity_of(arn)
        if identity is None:
            raise CloudError("NoSuchEntity", f"The principal with ARN {arn} cannot be found.", 404)
        return self._simulated(identity, arn)

    def simulate_custom_policy(self) -> ActionResult:
        return self._simulated(Identity((), None), self._get_param("CallerArn") or "")

    def _simulated(self, identity: Identity, arn: str) -> ActionResult:
        extra = [_document(text) for text in self._get_param("PolicyInputList", [])]
        boundary = [_document(text) for text in self._get_param("PermissionsBoundaryPolicyInputList", [])] or None
        caller = self._get_param("CallerArn") or arn
        principal = Principal(account_id=caller.split(":")[4] if caller else None, arn=caller or None)
        context: dict[str, str | list[str]] = {**principal.context(), "aws:securetransport": "true"}
        for entry in self._get_param("ContextEntries", []):
            values = [str(value) for value in entry.get("ContextKeyValues", [])]
            context[str(entry["ContextKeyName"]).lower()] = values if str(entry.get("ContextKeyType", "")).endswith("List") else values[0]
        resource_policy = self._get_param("ResourcePolicy")
        results = [
            self._one(identity, Question(principal, action, resource, context), extra, boundary, resource_policy)
            for action in self._get_param("ActionNames", [])
            for resource in self._get_param("ResourceArns", []) or ["*"]
        ]
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    @staticmethod
    def _one(
        identity: Identity, question: Question, extra: list[dict[str, Any]], boundary: Any, resource_policy: str | None
    ) -> dict[str, Any]:
        verdict, bounded = identity.verdict(question, extra, boundary)
        if resource_policy and verdict is not Verdict.DENY:
            theirs = evaluate([_document(resource_policy)], question)
            verdict = theirs if theirs is not Verdict.SILENT else verdict
        result: dict[str, Any] = {
            "EvalActionName": question.action,
            "EvalResourceName": question.resource,
            "EvalDecision": verdict.value,
            "MatchedStatements": [],
            "MissingContextValues": [],
        }
        if bounded is not None:
            result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": bounded}
        return result


def _document(text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        raise CloudError("InvalidInput", "The policy is not in the valid JSON format.") from None
