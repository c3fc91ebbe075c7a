"""The tables of `detection.py`."""

import statistics

from benchmarks.timing import Times, print_table, ratio

AROUND = ("read", "letterbox", "NMS", "boxes back")


def print_engines(title: str, results: list[Times], batch: int) -> None:
    """Print what engines took, and the time of the first by that of each."""
    rows = []
    for times in results:
        its = _milliseconds(times, batch)
        median = statistics.median(its)
        cpu = 1000 * times.cpu_median / times.facts["runs"] / batch
        rows.append(
            [
                times.name,
                f"{median:.1f}",
                f"{min(its):.1f} to {max(its):.1f}",
                f"{1000 / median:.1f}",
                f"{cpu:.0f}",
                f"{ratio(results[0], times):.2f}",
                f"{max(times.megabytes):.0f}",
                f"{times.facts['error']:.0e}",
                times.facts["versions"],
            ]
        )
    header = ["engine", "ms per image", "range", "images/s", "CPU ms"]
    header += [f"{results[0].name} / it", "MB", "error", "versions"]
    print_table(f"{title}, median of {len(results[0].seconds)}", header, rows)


def print_parts(title: str, facts: dict, images: int) -> None:
    """Print what surrounds the network, and whether traces or memory grow."""
    milliseconds = facts["milliseconds"]
    network = milliseconds["network"]
    milliseconds["all of these around it"] = sum(milliseconds[name] for name in AROUND)
    rows = [[name, f"{ms:.2f}", f"{ms / network:.1%}"] for name, ms in milliseconds.items()]
    print_table(title, ["part", "ms", "of the network"], rows)
    early, late = facts["megabytes"]
    print(f"\n{facts['description']}")
    print(f"Traces for images of {facts['sizes']} sizes: {facts['traces']}.")
    print(f"Memory after {images // 10} of them {early:.0f} MB, after {images} {late:.0f} MB.")


def _milliseconds(times: Times, batch: int) -> list[float]:
    """Return the milliseconds per image of each turn."""
    return [1000 * seconds / times.facts["runs"] / batch for seconds in times.seconds]
