"""The typed config of environments: `load_stack` and `load_all` read it, `check` judges it."""

from infra.config.checks import check, check_same
from infra.config.load import CONFIG_KEY, Stack, load_all, load_stack, parse, stack_file, stack_names
from infra.config.model import EnvironmentConfig

__all__ = [
    "CONFIG_KEY",
    "EnvironmentConfig",
    "Stack",
    "check",
    "check_same",
    "load_all",
    "load_stack",
    "parse",
    "stack_file",
    "stack_names",
]
