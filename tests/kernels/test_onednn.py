"""oneDNN: switched on where the CPU has AVX2, and the same results with other kernels of it."""

import os
import subprocess
import sys

import pytest

import yolov3
from yolov3.configs import REPO

# What depends on the kernels: convolutions, folding, and the detections of a batch.
DEPENDENT = [
    f"tests/kernels/test_{name}.py" for name in ("convolution", "folding", "substitute", "winograd")
]
DEPENDENT += ["tests/test_detection.py::test_batch_gives_what_each_image_gives_alone"]


@pytest.mark.parametrize(
    ("flags", "imported", "before", "after", "note"),
    [
        ("avx avx2", False, None, "1", False),
        ("avx avx2", False, "0", "0", False),
        ("avx avx2", True, None, None, True),
        ("avx avx2", True, "1", "1", False),
        ("avx2 avx512_vnni", True, None, None, False),
        ("avx", False, None, None, False),
    ],
)
def test_it_is_on_with_avx2_unless_the_user_says_otherwise(
    flags, imported, before, after, note, tmp_path, monkeypatch, capsys
):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags : fpu {flags}\n")
    monkeypatch.setattr(yolov3, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(sys, "modules", {"tensorflow": None} if imported else {})
    monkeypatch.delenv(yolov3.SETTING, raising=False)
    if before:
        monkeypatch.setenv(yolov3.SETTING, before)
    yolov3.enable_onednn()
    assert os.environ.get(yolov3.SETTING) == after
    assert ("import yolov3 first" in capsys.readouterr().err) == note


def test_another_system_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(yolov3, "CPUINFO", tmp_path / "missing")
    monkeypatch.delenv(yolov3.SETTING, raising=False)
    yolov3.enable_onednn()
    assert yolov3.SETTING not in os.environ


@pytest.mark.parametrize(
    ("chosen", "kernels"),
    [
        # TensorFlow asks the CPU, not oneDNN, whether there is half precision: left out.
        ("not full and not float16", {"ONEDNN_MAX_CPU_ISA": "AVX2", yolov3.SETTING: "1"}),
        ("not full", {yolov3.SETTING: "0"}),
    ],
    ids=["AVX2", "Eigen"],
)
def test_results_are_the_same_with_other_kernels(chosen, kernels):
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", chosen]
    environment = {**os.environ, **kernels}
    done = subprocess.run(
        command + DEPENDENT, cwd=REPO, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
