"""The release pipeline's one step: `python -m pipelines.promotion.release`.

    --operation release --model-package-arn ARN    bring a package live
    --operation redeploy                           the live package again, with the serving spec as it is now
    --operation restore                            the ledger's last release, after the endpoint was recreated
    --operation rollback                           the release before the present one

Exit codes are those of `infra.errors`: 0 released, 4 rolled back, 5 unknown. What there is to say goes into the job's exit message.
"""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from pathlib import Path

import boto3

from infra.errors import LockstepError
from infra.outputs import EnvironmentOutputs
from pipelines.promotion.engine import Engine
from pipelines.promotion.outcome import Outcome, exit_message, write_exit_message
from pipelines.promotion.plan import Order
from pipelines.promotion.seam import Aws


def base() -> Path:
    return Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def read_outputs() -> EnvironmentOutputs:
    """The environment's own description, which the pipeline hands to each of its steps."""
    path = base() / "processing" / "input" / "environment" / "outputs.json"
    return EnvironmentOutputs.model_validate_json(path.read_text(encoding="utf-8"))


def release(session: boto3.Session, outputs: EnvironmentOutputs, order: Order, *, run: str) -> Outcome:
    """Carry out an order; see `Engine.execute`."""
    aws = Aws(session, table=outputs.promotion.journal_table_name)
    return Engine(aws, outputs, run=run).execute(order)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operation", default="release")
    parser.add_argument("--model-package-arn", default="")
    parser.add_argument("--requested-by", default="")
    parser.add_argument("--execution-arn", default="")
    options = parser.parse_args(arguments)
    ended: Outcome | LockstepError
    try:
        order = Order.parse(options.operation, options.model_package_arn, options.requested_by)
        outputs = read_outputs()
        ended = release(boto3.Session(region_name=outputs.region), outputs, order, run=options.execution_arn or uuid.uuid4().hex)
        _write_result(ended)
        ended.raise_unless_released()
    except LockstepError as error:
        ended = error
        print(error, file=sys.stderr)
    except Exception as error:
        write_exit_message(LockstepError(f"{type(error).__name__}: {error}"))
        raise
    else:
        print(f"promotion {ended.promotion} is released as {ended.endpoint_config}")
    write_exit_message(ended)
    return ended.exit_code if isinstance(ended, LockstepError) else 0


def _write_result(outcome: Outcome) -> None:
    folder = base() / "processing" / "output" / "release"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "outcome.json").write_text(exit_message(outcome), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
