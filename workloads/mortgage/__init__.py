"""Mortgage applications in Boston: will an application be denied, and are qualified applicants treated alike."""

from workloads.mortgage.training import load, save, train

__all__ = ["load", "save", "train"]
