"""What a conversion drops or changes, counted by reason."""

from collections import Counter

EXAMPLES = 3  # shown of each reason


class Notes:
    """Counts of what happened, with the first examples of each, in the order of appearance."""

    def __init__(self):
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._examples: dict[tuple[str, str, str], list[str]] = {}

    def add(self, action: str, thing: str, reason: str, examples: list[str], count=None) -> None:
        """Note that `action` ("dropped") befell `thing` ("box") for a reason, once per example.

        `count` says how often where there are fewer examples than that.
        """
        count = len(examples) if count is None else count
        if count:
            key = action, thing, reason
            self._counts[key] += count
            self._examples.setdefault(key, []).extend(examples)

    def __str__(self) -> str:
        return "\n".join(self._line(key) for key in self._counts)

    def _line(self, key: tuple[str, str, str]) -> str:
        (action, thing, reason), examples = key, self._examples[key]
        line = f"{action} {counted(self._counts[key], thing)}, {reason}"
        if examples:
            line += ": " + "; ".join(examples[:EXAMPLES]) + " ..." * (len(examples) > EXAMPLES)
        return line


def counted(number: int, thing: str) -> str:
    """Write a number with its noun: 1 box, 2 boxes, 1,000 images."""
    ending = "" if number == 1 else "es" if thing[-1] in "sx" else "s"
    return f"{number:,} {thing}{ending}"
