"""Bodies of live traffic for a workload: what its golden data shows, and now and then what only its contract allows."""

from __future__ import annotations

from lockstep import datasets
from pipelines.contract import Contract, Record, read_csv, write_csv
from pipelines.workload import load_workload

# One request in so many holds a value that the contract allows and no row shows.
UNSEEN_EVERY = 10


def unseen_values(contract: Contract, records: list[Record]) -> list[tuple[str, str]]:
    """Inputs and values of their domains that occur in none of the records, in the contract's order."""
    seen = {(name, value) for record in records for name, value in record.items()}
    return [(field.name, value) for field in contract.inputs for value in field.domain if (field.name, value) not in seen]


def live_requests(workload_name: str, *, count: int = 300, unseen_every: int = UNSEEN_EVERY) -> list[bytes]:
    """CSV bodies of one record each, header line included.

    Args:
        count: how many different requests.
        unseen_every: every so many requests hold a contract-valid value that is in no row of the workload's data; 0 for none.
    """
    workload = load_workload(workload_name)
    rows = [row for file in datasets.export(workload_name) for row in read_csv(file.content.decode())]
    records = workload.contract.parse(rows)
    golden = records[-count:]
    unseen = unseen_values(workload.contract, records) if unseen_every else []
    columns = [field.name for field in workload.contract.inputs]
    bodies = []
    for number, record in enumerate(golden):
        if unseen and number % unseen_every == 0:
            name, value = unseen[number // unseen_every % len(unseen)]
            record = {**record, name: value}
        bodies.append(write_csv(columns, [record]).encode())
    return bodies
