"""YOLOv3 in TensorFlow 2.

Importing the package turns TensorFlow's oneDNN kernels on, which has to happen before TensorFlow is
imported. It is the only effect of an import in here.
"""

import os
import sys
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
SETTING = "TF_ENABLE_ONEDNN_OPTS"
# With any of these, TensorFlow turns oneDNN on by itself (IsMklEnabled in its util/port.cc).
ON_BY_DEFAULT = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}


def cpuinfo() -> str:
    """Return what Linux says of the CPU, nothing on other systems."""
    return CPUINFO.read_text(errors="replace") if CPUINFO.is_file() else ""


def enable_onednn() -> None:
    """Turn oneDNN on where the CPU has AVX2, unless the user has set `TF_ENABLE_ONEDNN_OPTS`.

    On a CPU with AVX2 and no more, a training step of YOLOv3-tiny takes 0.62 of its time with it.
    """
    flags = set(cpuinfo().split())
    if SETTING in os.environ or "avx2" not in flags:
        return
    if "tensorflow" not in sys.modules:
        os.environ[SETTING] = "1"
    elif flags.isdisjoint(ON_BY_DEFAULT):
        note = f"note: TensorFlow runs without oneDNN; import yolov3 first, or set {SETTING}=1"
        print(note, file=sys.stderr)


enable_onednn()
