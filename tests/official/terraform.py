"""Runs Terraform with the official provider from a folder on this machine; nothing is downloaded."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 900
_PROVIDER = "registry.terraform.io/hashicorp/aws"


class TerraformFailed(AssertionError):
    """A command that failed, with all that it said."""


@dataclass
class Terraform:
    """One working folder. `variables` are those of the environment, such as AWS_ENDPOINT_URL."""

    folder: Path
    plugins: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def init(self, configuration: Mapping[str, Any]) -> None:
        self.write(configuration)
        self.run("init", "-input=false", f"-plugin-dir={self.plugins}")

    def write(self, configuration: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "main.tf.json").write_text(json.dumps(configuration, indent=1), encoding="utf-8")

    def schema(self) -> Mapping[str, Any]:
        document: Mapping[str, Any] = json.loads(self.run("providers", "schema", "-json"))["provider_schemas"][_PROVIDER]
        return document

    def version(self) -> str:
        """The version of the provider."""
        version: str = json.loads(self.run("version", "-json"))["provider_selections"][_PROVIDER]
        return version

    def diagnostics(self) -> list[str]:
        """What `validate` has against the configuration: errors and warnings."""
        answer = json.loads(self.run("validate", "-json", codes=(0, 1)))
        return [f"{_place(each)}: {each['summary']}: {each.get('detail', '')}" for each in answer["diagnostics"]]

    def apply(self) -> None:
        self.run("apply", "-auto-approve", "-input=false")

    def plan(self, *options: str) -> Mapping[str, Any]:
        """What would be done, as `terraform show -json` tells it."""
        self.run("plan", "-input=false", "-out=planned", *options)
        plan: Mapping[str, Any] = json.loads(self.run("show", "-json", "planned"))
        return plan

    def state(self) -> Mapping[str, Any]:
        state: Mapping[str, Any] = json.loads(self.run("show", "-json"))
        return state

    def destroy(self) -> None:
        self.run("destroy", "-auto-approve", "-input=false")

    def run(self, command: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """Runs one command. Raises TerraformFailed, with the output, on any other exit code."""
        options = [] if "-json" in arguments else ["-no-color"]
        done = subprocess.run(
            ["terraform", command, *options, *arguments],
            cwd=self.folder,
            env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", **self.variables},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode not in codes:
            raise TerraformFailed(f"terraform {command} ended with {done.returncode}:\n{done.stderr[-20000:]}\n{done.stdout[-4000:]}")
        return done.stdout


def _place(diagnostic: Mapping[str, Any]) -> str:
    """The resource that a diagnostic is about; what is wrong in form has no address, but a snippet."""
    return str(diagnostic.get("address") or (diagnostic.get("snippet") or {}).get("context") or json.dumps(diagnostic.get("range")))
