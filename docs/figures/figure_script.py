"""The frame of the scripts beside this file: each draws one figure."""

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib

from yolov3.plots import STYLE, save_figure


def run_figure_script(
    draw: Callable, script: str | Path, description: str, argv: list[str] | None = None
) -> int:
    """Be the `main` of a script that draws one figure: parse `--output`, draw, save; return 0.

    `draw() -> matplotlib.figure.Figure` is called within `STYLE` and prints the numbers that the
    documentation quotes. The figure goes beside the script unless `--output` says where.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(script).with_suffix(".png")
    parser.add_argument(
        "--output", type=Path, default=default, metavar="PNG", help=f"default: {default.name} here"
    )
    args = parser.parse_args(argv)
    with matplotlib.rc_context(STYLE):
        save_figure(draw(), args.output)
    return 0
