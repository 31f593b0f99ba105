"""Moves a model package behind an endpoint, blue-green, and says truthfully how that ended.

names, decisions, render, truth   pure: what to call things, what to do next, what to ask for
seam                              the only place that calls AWS
journal                           who may change the endpoint, and what was already done
preflight, health, cleanup        what must hold before, during and after
evidence                          what the ledger keeps
engine                            the flow that strings them together
release, verify                   entry points of the pipelines' steps
"""
