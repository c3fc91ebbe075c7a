import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.matrix_rate import gigaflops
from benchmarks.step_engines import random_batch
from benchmarks.timing import Engine, take_turns
from yolov3.configs import REPO

ENGINE = """
import sys
sys.path.insert(0, {repo!r})
from benchmarks.timing import serve
print("noise of a library")
runs = []
serve(lambda: runs.append(sum(range({work}))), work={work})
"""


def engine(folder, name, work):
    script = folder / f"{name}.py"
    script.write_text(ENGINE.format(repo=str(REPO), work=work))
    return Engine(name, [str(script)])


def test_engines_take_turns_in_processes_of_their_own(tmp_path):
    light, heavy = take_turns(
        [engine(tmp_path, "light", 1), engine(tmp_path, "heavy", 1_000_000)], rounds=3
    )
    assert (light.name, light.facts) == ("light", {"work": 1})
    assert len(light.seconds) == len(heavy.cpu_seconds) == len(heavy.megabytes) == 3
    assert 0 < light.median < heavy.median
    assert light.cpu_median < heavy.cpu_median


def test_an_engine_that_fails_is_named(tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit(3)")
    with pytest.raises(ValueError, match="broken: expected .* ended with code 3"):
        Engine("broken", [str(script)])


def test_work_of_the_networks():
    """Darknet prints 65.864 and 5.571 BFLOPs for its cfg files of 80 classes at 416."""
    assert gigaflops(416, tiny=False, num_classes=80) == pytest.approx(65.864, abs=0.05)
    assert gigaflops(416, tiny=True, num_classes=80) == pytest.approx(5.571, abs=0.01)


@pytest.mark.parametrize("tiny", [False, True])
def test_the_step_of_pytorch_has_the_same_losses(tiny):
    torch = pytest.importorskip("torch")
    import tensorflow as tf

    from benchmarks.torch_yolov3 import TrainingStep, copy_weights
    from yolov3.configs import Config
    from yolov3.labels import assign_anchors
    from yolov3.losses import compute_loss
    from yolov3.yolov3 import build_yolov3

    images, boxes_xyxy, classes = random_batch(128, 2)
    boxes_xyxy[0, 5:] = 0  # padding
    model, config = build_yolov3(10, tiny), Config(tiny=tiny)
    for layer in model.layers:
        if layer.name.startswith("bn_"):  # some start at 0, and would hide what is before them
            layer.gamma.assign(np.random.default_rng(0).uniform(0.7, 1.3, layer.gamma.shape))
    grids = [(128 // stride, 128 // stride) for stride in config.strides]
    targets = assign_anchors(boxes_xyxy, classes, config.anchors, config.strides, grids, 10)
    raw_maps = model(tf.cast(images, tf.float32) / 255.0, training=True)
    expected = compute_loss(raw_maps, targets, boxes_xyxy, config.anchors, config.strides)
    step = TrainingStep(10, tiny=tiny)
    copy_weights(step.model, model)
    losses = step.losses(
        *(torch.asarray(part) for part in (images, boxes_xyxy, classes.astype(int)))
    )
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(float(expected[name]), rel=1e-4), name


@pytest.mark.parametrize(
    "script",
    "training_step convolutions winograd matrix_rate input_pipeline evaluation start_up "
    "scaling large_batches".split(),
)
def test_help_is_quick_to_import_nothing_heavy(script):
    code = f"""
import runpy, sys
sys.argv = ["{script}.py", "--help"]
try:
    runpy.run_path("benchmarks/{script}.py", run_name="__main__")
except SystemExit as done:
    assert done.code == 0
assert not {{"tensorflow", "torch", "cv2"}} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout


@pytest.mark.parametrize(
    ("script", "flags", "first"),
    [
        ("input_pipeline", [], "| 1 |"),
        ("training_step", ["--tiny", "--engines", "repository", "reading"], "| this repository |"),
    ],
)
def test_the_quick_script_prints_its_table(script, flags, first):
    command = [sys.executable, f"benchmarks/{script}.py", "--quick", *flags]
    limit = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, env=limit)
    assert done.returncode == 0, done.stderr
    (row,) = (line for line in done.stdout.splitlines() if line.startswith(first))
    assert "bfloat16" not in row and "limited to AVX2" in done.stdout
    assert all(float(cell) > 0 for cell in row.split("|")[3:6])
