"""The watchman of a cloud's children: a process that outlives the cloud by an instant, to end what the cloud left running.

It is told process groups over its standard input ("+PGID", "-PGID", a line each). The pipe ends when the cloud does, however that was;
then every group still on the list is killed. Started as a plain file, so it costs no imports.
"""

import os
import signal
import sys


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        sign, number = line[0], int(line[1:])
        if sign == "+":
            groups.add(number)
        else:
            groups.discard(number)
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    main()
