"""Try to break training, files and losses, and print one table of faults tried and survived.

    python -m tests.torture                      everything: about 20 minutes on 2 cores
    python -m tests.torture --share 0.02         a fiftieth of it
    python -m tests.torture --only kills disk    some families of faults
    python -m tests.torture --seed 7             the faults that this seed draws

Works in a folder of the system's temporary one (TMPDIR), with 6 GB free. Exits with 1 if any fault
was not survived; the folder of what failed is then kept.
"""

import argparse
import logging
import math
import random
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from tests.torture.table import markdown_table

FAMILIES = {  # module: how many faults in full
    "losses": 3_000,
    "annotation_files": 10_000,
    "mutations": 2_000,
    "disk": 24,
    "kills": 60,
    "workers": 20,
}


def parse_args(arguments=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--share", type=float, default=1.0, help="share of all faults to try (1)")
    parser.add_argument("--seed", type=int, help="seed of all that is random (a new one)")
    parser.add_argument("--only", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    return parser.parse_args(arguments)


def main(arguments=None) -> int:
    args = parse_args(arguments)
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # it warns of every restart in a log
    seed = random.randrange(10**6) if args.seed is None else args.seed
    folder = Path(tempfile.mkdtemp(prefix="torture-")).resolve()
    rows = []
    for name in args.only:
        count = math.ceil(FAMILIES[name] * args.share)
        print(f"{name}: {count:,} faults", file=sys.stderr, flush=True)
        family = import_module(f"tests.torture.{name}")
        rows += family.run(count, seed, folder)
    print(markdown_table(rows))
    failures = [f"{row.fault}: {failure}" for row in rows for failure in row.failures]
    if failures:
        again = f"python -m tests.torture --seed {seed} --share {args.share:g} --only"
        print("\nNOT SURVIVED", *dict.fromkeys(failures), sep="\n- ")
        print(f"\nrepeat with: {again} {' '.join(args.only)}\nkept: {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
