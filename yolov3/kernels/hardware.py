"""What suits this hardware: computing precision, GPU memory, TensorFlow's graph optimizer."""

import contextlib
import os
import platform
import re
from collections.abc import Callable

import tensorflow as tf

from yolov3 import SETTING, cpuinfo

CPU_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}  # without one of these, bfloat16 is emulated and slow
# Limits that a user may set oneDNN (its dispatcher control), below those that have bfloat16.
ISAS_WITHOUT_BF16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"}
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
FIRST_BF16_GPU = (8, 0)  # compute capability of Ampere
FIRST_FP16_GPU = (7, 0)  # and of Volta, the first with tensor cores
GRAPPLER_OFF = "disable_meta_optimizer"


def choose_precision(setting: str) -> str:
    """Resolve "auto" to "float32", "bfloat16" or "float16"; return any other setting as it is."""
    if setting != "auto":
        return setting
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        capability = min(detail.get("compute_capability", (0, 0)) for detail in details)
        if capability >= FIRST_BF16_GPU:
            return "bfloat16"
        return "float16" if capability >= FIRST_FP16_GPU else "float32"
    return "bfloat16" if cpu_has_bf16() else "float32"


def grow_gpu_memory() -> None:
    """Let TensorFlow take GPU memory as it needs it, not all at once, if it did not start yet."""
    for gpu in tf.config.list_physical_devices("GPU"):
        with contextlib.suppress(RuntimeError):  # the GPU is in use
            tf.config.experimental.set_memory_growth(gpu, True)


def without_grappler(function: Callable) -> Callable:
    """Return a `tf.function` whose graphs run as they were traced, on machines without a GPU.

    Grappler, TensorFlow's graph optimizer, takes 8 s of CPU time for the training step of
    Darknet-53, which has 8,000 ops, and on a CPU the step is no faster for it. On a GPU it chooses
    the layout of convolutions, and stays.
    """
    if tf.config.list_physical_devices("GPU"):
        return function

    def call(*args):
        before = tf.config.optimizer.get_experimental_options().get(GRAPPLER_OFF, False)
        tf.config.optimizer.set_experimental_options({GRAPPLER_OFF: True})
        try:
            return function(*args)
        finally:
            tf.config.optimizer.set_experimental_options({GRAPPLER_OFF: before})

    return call


def uses_onednn() -> bool:
    """Tell whether TensorFlow computes with oneDNN on this CPU, as far as its setting says."""
    return "avx2" in cpuinfo().split() and os.environ.get(SETTING, "1") != "0"


def cpu_has_bf16() -> bool:
    """Tell whether oneDNN multiplies bfloat16 in hardware: by Linux's flags, and its own limit."""
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in ISAS_WITHOUT_BF16:
        return False
    return not CPU_BF16_FLAGS.isdisjoint(cpuinfo().split())


def hardware_name() -> str:
    """Name the device that computes, for people."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
        return f"{len(gpus)} x {name}"
    model = re.search(r"^model name\s*: (.+)$", cpuinfo(), re.MULTILINE)
    return model[1] if model else platform.processor() or platform.machine()
