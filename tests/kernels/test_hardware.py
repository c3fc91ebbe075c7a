"""Tests of what suits the hardware, with the hardware faked."""

import pytest
import tensorflow as tf

import yolov3
from yolov3.kernels import hardware
from yolov3.kernels.hardware import (
    GRAPPLER_OFF,
    choose_precision,
    grow_gpu_memory,
    hardware_name,
    without_grappler,
)

CPUINFO = """processor	: 0
model name	: Some CPU @ 2.00GHz
flags		: fpu sse2 {flags}

processor	: 1
model name	: Some CPU @ 2.00GHz
"""


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    """Return a function that gives this machine a CPU with these flags, and no GPU."""

    def have(flags):
        path = tmp_path / "cpuinfo"
        path.write_text(CPUINFO.format(flags=flags))
        monkeypatch.setattr(yolov3, "CPUINFO", path)
        have_gpus(monkeypatch)

    return have


def have_gpus(monkeypatch, *details):
    devices = range(len(details))
    monkeypatch.setattr(hardware.tf.config, "list_physical_devices", lambda kind: list(devices))
    monkeypatch.setattr(
        hardware.tf.config.experimental, "get_device_details", lambda device: details[device]
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("avx2 avx512f", "float32"),
        ("avx512f avx512_bf16 amx_tile", "bfloat16"),
        ("amx_bf16", "bfloat16"),
        ("avx512_bf16x my_amx_bf16", "float32"),
    ],
)
def test_flags_of_the_cpu_decide(cpu, flags, expected):
    cpu(flags)
    assert choose_precision("auto") == expected
    assert choose_precision("float16") == "float16"  # a setting other than auto holds


@pytest.mark.parametrize(
    ("limit", "expected"), [("avx2", "float32"), ("AVX512_CORE_BF16", "bfloat16")]
)
def test_limit_of_onednn_counts(cpu, monkeypatch, limit, expected):
    cpu("avx512_bf16")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert choose_precision("auto") == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(8, 0)], "bfloat16"),
        ([(7, 0)], "float16"),
        ([(6, 1)], "float32"),
        ([(9, 0), (7, 0)], "float16"),
        ([None], "float32"),
    ],
)
def test_weakest_gpu_decides(cpu, monkeypatch, capabilities, expected):
    cpu("avx512_bf16")
    details = [{"compute_capability": pair} if pair else {} for pair in capabilities]
    have_gpus(monkeypatch, *details)
    assert choose_precision("auto") == expected


@pytest.mark.parametrize(
    ("flags", "setting", "expected"),
    [("avx avx2", "1", True), ("avx avx2", None, True), ("avx2", "0", False), ("avx", "1", False)],
)
def test_onednn_is_used_with_avx2_unless_it_is_off(cpu, monkeypatch, flags, setting, expected):
    cpu(f"flags\t\t: fpu {flags}\n")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if setting:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", setting)
    assert hardware.uses_onednn() == expected


def test_hardware_has_a_name(cpu, monkeypatch, tmp_path):
    cpu("")
    assert hardware_name() == "Some CPU @ 2.00GHz"
    monkeypatch.setattr(yolov3, "CPUINFO", tmp_path / "missing")  # not Linux
    assert hardware_name() and choose_precision("auto") == "float32"
    have_gpus(monkeypatch, {"device_name": "Big GPU"}, {"device_name": "Big GPU"})
    assert hardware_name() == "2 x Big GPU"


def test_gpu_memory_grows_unless_it_is_in_use(monkeypatch):
    grown = []

    def set_memory_growth(gpu, is_on):
        if gpu == 0:
            raise RuntimeError("cannot be modified after being initialized")
        grown.append((gpu, is_on))

    have_gpus(monkeypatch, {}, {})
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", set_memory_growth)
    grow_gpu_memory()
    assert grown == [(1, True)]


def grappler_is_off(fail=False):
    assert not fail
    return tf.config.optimizer.get_experimental_options().get(GRAPPLER_OFF, False)


def test_grappler_is_off_during_the_call_and_only_then(monkeypatch):
    have_gpus(monkeypatch)
    assert without_grappler(grappler_is_off)()
    assert not grappler_is_off()
    with pytest.raises(AssertionError):
        without_grappler(grappler_is_off)(True)
    assert not grappler_is_off()


def test_a_gpu_keeps_grappler(monkeypatch):
    have_gpus(monkeypatch, {})
    assert not without_grappler(grappler_is_off)()
