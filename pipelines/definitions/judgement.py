"""The end that the training and the admit pipeline share: judge the candidate beside the champion, then register or refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sagemaker.core.workflow.conditions import ConditionEquals
from sagemaker.core.workflow.functions import Join
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.steps import ProcessingStep

from pipelines.definitions.steps import json_get, output_uri, processing, token, uri_token


def evaluate(
    name: str, *, subject: str, image: Any, model_uri: Any, golden_uri: Any, champion_uri: Any | None, recorder: PipelineSession
) -> ProcessingStep:
    """Judge one model on the golden data, with the code of its own image."""
    inputs = {"model": model_uri, "golden": golden_uri}
    if champion_uri is not None:
        inputs["champion"] = champion_uri
    return processing(
        name,
        module="pipelines.jobs.evaluate",
        image=image,
        role="role_jobs",
        inputs=inputs,
        outputs=["evaluation"],
        arguments=["--subject", subject, "--image", image],
        isolated=True,
        recorder=recorder,
    )


def judgement(
    *,
    candidate: ProcessingStep,
    champion: ProcessingStep,
    champion_uri: Any,
    role: str,
    record_uri: Any | None,
    arguments: Sequence[Any],
    asked: Sequence[Any] = (),
    recorder: PipelineSession,
) -> list[Any]:
    """Steps Gates, GatesPassed, Register and GatesRefused.

    Args:
        candidate: the step that evaluated the candidate; `champion`: the one that evaluated what serves now.
        champion_uri: where the record of what serves lies, which the judged images had no hand in.
        role: token name of the role under which gates and registration run.
        record_uri: where a verified candidate's record lies (admit), or None (training: arguments say it all).
        arguments: passed on to the register job.
        asked: passed on to the gates job, which writes a refused promotion into the ledger; empty in training.
    """
    verdict = PropertyFile(name="Verdict", output_name="gates", path="gates.json")
    record = {"record": record_uri} if record_uri is not None else {}
    gates = processing(
        "Gates",
        module="pipelines.jobs.gates",
        image=token("toolkit_image"),
        role=role,
        inputs={
            "candidate": output_uri(candidate, "evaluation"),
            "champion": output_uri(champion, "evaluation"),
            "standing": champion_uri,
            "environment": uri_token("outputs_uri"),
            **record,
        },
        outputs=["gates"],
        arguments=asked,
        isolated=False,
        recorder=recorder,
        property_files=[verdict],
    )
    inputs = {
        "gates": output_uri(gates, "gates"),
        "candidate": output_uri(candidate, "evaluation"),
        "environment": uri_token("outputs_uri"),
        **record,
    }
    register = processing(
        "Register",
        module="pipelines.jobs.register",
        image=token("toolkit_image"),
        role=role,
        inputs=inputs,
        outputs=["package"],
        arguments=[
            "--evaluation-uri",
            output_uri(candidate, "evaluation"),
            "--gates-uri",
            output_uri(gates, "gates"),
            *arguments,
        ],
        isolated=False,
        recorder=recorder,
    )
    refused = FailStep(name="GatesRefused", error_message=Join(on="", values=["Gates refused: ", json_get(gates, verdict, "summary")]))
    passed = ConditionStep(
        name="GatesPassed",
        conditions=[ConditionEquals(left=json_get(gates, verdict, "passed"), right=True)],
        if_steps=[register],
        else_steps=[refused],
    )
    return [gates, passed]
