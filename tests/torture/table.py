"""The result of a torture: one row for each kind of fault, printed as a Markdown table."""

from typing import NamedTuple


class Row(NamedTuple):
    """How often one kind of fault was tried and survived; `failures` say how it was not."""

    fault: str
    tried: int
    survived: int
    note: str = ""
    failures: tuple[str, ...] = ()


def row_of(fault: str, outcomes: list[str], note: str = "") -> Row:
    """Count outcomes: an empty string is a fault survived, any other says what went wrong."""
    failures = tuple(outcome for outcome in outcomes if outcome)
    return Row(fault, len(outcomes), len(outcomes) - len(failures), note, failures)


def markdown_table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table the sum last."""
    total = Row("all", sum(row.tried for row in rows), sum(row.survived for row in rows))
    lines = ["| fault | tried | survived | note |", "| --- | ---: | ---: | --- |"]
    for row in (*rows, total):
        lines.append(f"| {row.fault} | {row.tried:,} | {row.survived:,} | {row.note} |")
    return "\n".join(lines)
