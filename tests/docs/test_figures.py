"""The scripts of the figures: each draws a PNG, and prints only what the documentation quotes."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from yolov3.plots import save_figure

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCRIPTS = sorted((DOCS / "figures").glob("*.py"))
LARGEST_PNG = 150_000  # bytes


def load(script):
    """Import a script as a module: a process for each would spend minutes on loading TensorFlow."""
    spec = importlib.util.spec_from_file_location(f"figure_{script.stem}", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
    assert command + capsys.readouterr().out + "```" in quoting[0]


def test_a_script_runs_from_any_folder_and_explains_itself(tmp_path):
    script = DOCS / "figures" / "step_size.py"
    command = [sys.executable, str(script)]
    run = subprocess.run([*command, "--output", "a.png"], cwd=tmp_path, capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")
    assert (tmp_path / "a.png").is_file()
    run = subprocess.run([*command, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert "python docs/figures/step_size.py" in run.stdout


def test_a_figure_is_the_same_every_time(tmp_path):
    module = load(DOCS / "figures" / "annotation_line.py")
    for name in ("a.png", "b.png"):
        module.main(["--output", str(tmp_path / name)])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_only_png_files_are_written(tmp_path):
    with pytest.raises(ValueError, match=r"a\.jpg: expected a name that ends in \.png"):
        save_figure(None, tmp_path / "a.jpg")
