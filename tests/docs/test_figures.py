"""The scripts of the figures: each draws a PNG, and prints what the documentation quotes."""

import importlib.util
import re
from decimal import Decimal
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SCRIPTS = sorted(
    set((DOCS / "figures").glob("*.py"))
    - {DOCS / "figures" / f"{name}.py" for name in ("detections", "figure_script")}
)
LARGEST_PNG = 200_000  # bytes
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def load(script):
    """Import a script as a module: a process for each would spend minutes on loading TensorFlow."""
    spec = importlib.util.spec_from_file_location(f"figure_{script.stem}", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def assert_same_to_the_last_digit(printed, quoted):
    """Compare words and whole numbers exactly, others up to one in the last digit that is quoted.

    Other kernels and versions of the libraries round differently.
    """
    assert NUMBER.sub("#", printed).split() == NUMBER.sub("#", quoted).split()
    for one, other in zip(NUMBER.findall(printed), NUMBER.findall(quoted), strict=True):
        exponent = Decimal(other).as_tuple().exponent
        is_whole = exponent == 0 and "e" not in other
        assert float(one) == pytest.approx(float(other), abs=0 if is_whole else 1.01 * 10**exponent)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_draws_its_figure_and_prints_what_its_page_quotes(script, tmp_path, capsys):
    png = tmp_path / "new folder" / "figure.png"
    assert load(script).main(["--output", str(png)]) == 0
    assert png.stat().st_size < LARGEST_PNG
    with Image.open(png) as drawn, Image.open(script.with_suffix(".png")) as published:
        assert drawn.size == published.size
        assert drawn.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    pages = [page.read_text(encoding="utf-8") for page in DOCS.glob("*.md")]
    quoting = [page for page in pages if f"figures/{script.stem}.png" in page]
    assert len(quoting) == 1
    command = f"$ python docs/figures/{script.name}\n"
    quoted = quoting[0].partition(command)[2].partition("```")[0]
    assert_same_to_the_last_digit(capsys.readouterr().out, quoted)


def test_ground_truth_and_detections_of_a_trained_network_stand_side_by_side(
    trained, digit_scenes, tmp_path, capsys
):
    png = tmp_path / "detections.png"
    argv = [
        "--weights",
        trained.folder / "checkpoints",
        "--annotations",
        digit_scenes,
        "--output",
        png,
    ]
    assert load(DOCS / "figures" / "detections.py").main([str(arg) for arg in argv]) == 0
    assert capsys.readouterr().out.startswith("2 boxes, ")
    with Image.open(png) as drawn, Image.open(DOCS / "figures" / "detections.png") as published:
        assert drawn.size == published.size


def test_a_figure_is_the_same_every_time(tmp_path):
    module = load(DOCS / "figures" / "annotation_line.py")
    for name in ("a.png", "b.png"):
        module.main(["--output", str(tmp_path / name)])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
