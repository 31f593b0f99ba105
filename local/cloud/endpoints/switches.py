"""What AWS does not document about UpdateEndpoint, each a switch with a default, in this one place.

No test claims that a default is how AWS behaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Switches:
    """Behaviour that is undocumented.

    percent_rounding: how a percent of a capacity becomes instances. AWS's own notebook shows 33 % of 3 as 1; never less than one instance.
    last_bake: whether the bake after the last shift lasts TerminationWaitInSeconds alone, or WaitIntervalInSeconds more.
    alarm_before: what an alarm does that is in ALARM before the first shift: roll back when the first bake looks at it, or be
        ignored until it has left ALARM once.
    missing_alarm: whether an alarm that does not exist ends the deployment or is passed over.
    unseen_alarm: what UpdateEndpoint does where the execution role may not look at the alarms. The guide says to "ensure" that it may.
    """

    percent_rounding: Literal["nearest", "ceil", "floor"] = "nearest"
    last_bake: Literal["termination", "interval_and_termination"] = "termination"
    alarm_before: Literal["rollback_at_first_bake", "ignore"] = "rollback_at_first_bake"
    missing_alarm: Literal["ignore", "rollback"] = "ignore"
    unseen_alarm: Literal["refuse", "ignore"] = "refuse"


DEFAULTS = Switches()
