"""Tests of the command-line flags, and of how fast `--help` comes."""

import argparse
import dataclasses
import subprocess
import sys

import pytest

from yolov3.cli.flags import (
    add_config_flags,
    canvas_size,
    config_from_flags,
    input_size,
    positive_int,
    share,
)
from yolov3.configs import REPO, Config

SCRIPTS = ["train.py", "evaluate_mAP.py", "detect.py", "detect_mnist.py"]
HEAVY = ("tensorflow", "keras", "cv2", "matplotlib", "sklearn")


def parse(*words):
    parser = argparse.ArgumentParser()
    add_config_flags(parser)
    return parser.parse_args(words)


def words_for(value):
    return [str(item) for item in value] if isinstance(value, tuple) else [str(value)]


OTHER_VALUES = {
    "train_classes": "a b.names",
    "train_annot_path": "x.txt",
    "test_annot_path": "",
    "bad_lines": "skip",
    "train_logdir": "l",
    "train_checkpoints_folder": "c",
    "tiny_anchors": "darknet",
    "train_input_size": 320,
    "precision": "float32",
    "weights": "yolov3.weights",
    "transfer": "all",
    "freeze_epochs": 2,
    "train_epochs": 7,
    "train_batch_size": 3,
    "train_lr_init": 0.5,
    "train_lr_end": 1e-6,
    "train_warmup_epochs": 1.5,
    "train_weight_decay": 0.01,
    "train_average_decay": 0.5,
    "train_input_scales": (0.5, 1.0),
    "seed": 9,
    "augment_flip": 0.1,
    "augment_crop": 0.2,
    "augment_scale": 0.3,
    "augment_translate": 0.4,
    "augment_color": 0.6,
    "test_score_threshold": 0.7,
    "test_iou_threshold": 0.8,
}


def test_every_field_is_here():
    assert OTHER_VALUES.keys() | {"tiny"} == {field.name for field in dataclasses.fields(Config)}


@pytest.mark.parametrize("name", OTHER_VALUES)
def test_every_field_has_a_flag(name):
    value = OTHER_VALUES[name]
    config = config_from_flags(parse("--" + name.replace("_", "-"), *words_for(value)))
    assert config == dataclasses.replace(Config(), **{name: value})


def test_flags_that_are_not_given_leave_no_trace():
    assert vars(parse()) == {}
    assert config_from_flags(parse()) == Config()


def test_flags_override_a_base():
    base = Config(seed=4, train_lr_init=0.5, tiny=True)
    config = config_from_flags(parse("--seed", "5"), base)
    assert config == dataclasses.replace(base, seed=5)
    assert not config_from_flags(parse("--no-tiny"), base).tiny
    assert config_from_flags(parse("--tiny")).tiny


def test_the_end_of_the_rate_follows_its_start_unless_it_was_chosen():
    lower = parse("--train-lr-init", "5e-5")
    assert config_from_flags(lower, Config()) == Config(train_lr_init=5e-5)
    assert config_from_flags(lower, Config(train_lr_end=1e-5)).train_lr_end == 1e-5
    both = parse("--train-lr-init", "5e-5", "--train-lr-end", "2e-5")
    assert config_from_flags(both, Config()).train_lr_end == 2e-5


def test_value_out_of_range_names_the_setting():
    with pytest.raises(ValueError, match="train_input_size: expected .* received 100"):
        config_from_flags(parse("--train-input-size", "100"))


@pytest.mark.parametrize(
    "words",
    [["--train-epochs", "many"], ["--precision", "double"], ["--train-input-scales"], ["--tinny"]],
)
def test_bad_words_exit_with_2(capsys, words):
    with pytest.raises(SystemExit) as end:
        parse(*words)
    assert end.value.code == 2
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parse_word", "good", "bad"),
    [
        (share, {"0": 0.0, "1": 1.0, "0.3": 0.3}, ["-0.1", "1.1", "nan"]),
        (positive_int, {"1": 1, "20": 20}, ["0", "-3"]),
        (input_size, {"32": 32, "416": 416}, ["0", "-32", "400"]),
        (canvas_size, {"416": (416, 416), "320x608": (320, 608), "32X64": (32, 64)}, ["0", "400"]),
    ],
)
def test_kinds_of_values(parse_word, good, bad):
    for text, value in good.items():
        assert parse_word(text) == value
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=f"received {text}"):
            parse_word(text)


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_loads_nothing_heavy(script, tmp_path):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", REPO / script, "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and f"usage: {script}" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "yolov3.cli.flags" in loaded
    assert not loaded.intersection(HEAVY)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train.py", "--train-input-size", "100"], "train_input_size: expected"),
        (["train.py", "--train-epochs", "x"], "--train-epochs"),
        (
            ["evaluate_mAP.py", "--size", "100"],
            "expected a multiple of 32 up to 4096; received 100",
        ),
        (["evaluate_mAP.py", "--batch-size", "0"], "expected at least 1; received 0"),
        (["detect_mnist.py", "--score-threshold", "2"], "expected 0 to 1; received 2"),
    ],
)
def test_scripts_refuse_bad_values_with_2(words, message):
    script, *flags = words
    command = [sys.executable, REPO / script, *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr


def test_tiny_brings_its_own_number_of_epochs_unless_one_is_given():
    assert config_from_flags(parse("--tiny")).train_epochs == Config(tiny=True).train_epochs
    assert config_from_flags(parse("--tiny", "--train-epochs", "3")).train_epochs == 3
    assert Config(tiny=True).train_epochs != Config().train_epochs
