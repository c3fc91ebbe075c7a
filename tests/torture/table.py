"""The result of a torture: one row for each kind of fault, printed as a Markdown table."""

from typing import NamedTuple

HEADINGS = ("fault", "tried", "survived", "note")


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
    """Return the rows as a Markdown table with aligned columns, the sum last."""
    total = Row("all", sum(row.tried for row in rows), sum(row.survived for row in rows))
    cells = [HEADINGS] + [
        (row.fault, f"{row.tried:,}", f"{row.survived:,}", row.note) for row in [*rows, total]
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    dashes = ["-" * widths[0], "-" * (widths[1] - 1) + ":", "-" * (widths[2] - 1) + ":"]
    cells.insert(1, (*dashes, "-" * widths[3]))
    return "\n".join(_line(line, widths) for line in cells)


def _line(cells, widths):
    fault, tried, survived, note = cells
    return (
        f"| {fault:<{widths[0]}} | {tried:>{widths[1]}} | {survived:>{widths[2]}} "
        f"| {note:<{widths[3]}} |"
    )
