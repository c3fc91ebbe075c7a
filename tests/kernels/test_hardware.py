"""Tests of what suits the hardware, with the hardware faked."""

import pytest
import tensorflow as tf

from yolov3.kernels import hardware
from yolov3.kernels.hardware import (
    GRAPPLER_OFF,
    choose_precision,
    cpu_has_bf16,
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
        monkeypatch.setattr(hardware, "CPUINFO", path)
        monkeypatch.setattr(hardware.cpu_has_bf16, "__defaults__", (path,))
        have_gpus(monkeypatch)
        return path

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
        ("avx2 avx512f", False),
        ("avx512f avx512_bf16 amx_tile", True),
        ("amx_bf16", True),
        ("avx512_bf16x my_amx_bf16", False),
        ("", False),
    ],
)
def test_flags_of_the_cpu(cpu, flags, expected):
    assert cpu_has_bf16(cpu(flags)) is expected
    assert choose_precision("auto") == ("bfloat16" if expected else "float32")


def test_no_or_unreadable_text_means_no(tmp_path):
    assert not cpu_has_bf16(tmp_path / "missing")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0flags: avx\n")
    assert not cpu_has_bf16(tmp_path / "binary")


@pytest.mark.parametrize("setting", ["float32", "bfloat16", "float16"])
def test_setting_other_than_auto_holds(cpu, setting):
    cpu("")
    assert choose_precision(setting) == setting


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(9, 0)], "bfloat16"),
        ([(8, 0)], "bfloat16"),
        ([(7, 5)], "float16"),
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


def test_hardware_has_a_name(cpu, monkeypatch):
    cpu("")
    assert hardware_name() == "Some CPU @ 2.00GHz"
    have_gpus(monkeypatch, {"device_name": "Big GPU"}, {"device_name": "Big GPU"})
    assert hardware_name() == "2 x Big GPU"


def test_gpu_memory_grows_unless_it_is_in_use(monkeypatch):
    grown = []

    def set_memory_growth(gpu, is_on):
        grown.append((gpu, is_on))
        if gpu == "first":
            raise RuntimeError("cannot be modified after being initialized")

    config = hardware.tf.config
    monkeypatch.setattr(config, "list_physical_devices", lambda kind: ["first", "second"])
    monkeypatch.setattr(config.experimental, "set_memory_growth", set_memory_growth)
    grow_gpu_memory()
    assert grown == [("first", True), ("second", True)]


def grappler_is_off():
    return tf.config.optimizer.get_experimental_options().get(GRAPPLER_OFF, False)


def test_the_optimizer_grappler_is_off_during_the_call_and_only_then(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    seen = []

    def record(x):
        seen.append(grappler_is_off())
        return x + 1

    assert without_grappler(record)(2) == 3
    assert seen == [True]
    assert not grappler_is_off()


def test_grappler_is_on_again_after_an_error(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError):
        without_grappler(fail)()
    assert not grappler_is_off()


def test_a_gpu_keeps_grappler(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    function = tf.function(lambda x: x + 1)
    assert without_grappler(function) is function
