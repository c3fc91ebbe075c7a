"""Tests of the command-line flags, and of how fast `--help` comes."""

import argparse
import dataclasses
import importlib
import subprocess
import sys

import pytest

from yolov3.cli.flags import (
    Parser,
    add_config_flags,
    config_from_flags,
    fraction,
    input_hw,
    input_size,
    integer,
    names_list,
    number,
    positive_int,
)
from yolov3.configs import REPO, Config

SCRIPTS = ["train.py", "evaluate_mAP.py", "detect.py", "detect_mnist.py"]
HEAVY = ("tensorflow", "keras", "cv2", "matplotlib", "sklearn")


def parse(*words):
    parser = Parser("help")
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
    ("parse_word", "good", "bad"),
    [
        (integer, {"-1": -1, "20": 20}, ["5.5", "many"]),
        (number, {"1e-3": 0.001, "-2": -2.0}, ["x"]),
        (fraction, {"0": 0.0, "1": 1.0, "0.3": 0.3}, ["-0.1", "1.1", "nan", "x"]),
        (positive_int, {"1": 1, "20": 20}, ["0", "-3", "1.5"]),
        (input_size, {"32": 32, "416": 416}, ["0", "-32", "400", "x"]),
        (input_hw, {"416": (416, 416), "320x608": (320, 608), "32X64": (32, 64)}, ["0", "400"]),
        (names_list, {"cat": ["cat"], "cat,dog": ["cat", "dog"]}, []),
    ],
)
def test_kinds_of_values(parse_word, good, bad):
    for text, value in good.items():
        assert parse_word(text) == value
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=f"received {text}"):
            parse_word(text)


@pytest.mark.parametrize(
    ("script", "words", "expected"),
    [
        ("train.py", ["--epochs", "10"], "--epochs: did you mean --train-epochs?"),
        ("train.py", ["--batch=8"], "--batch: did you mean --train-batch-size?"),
        ("train.py", ["--batch-size", "8"], "--batch-size: did you mean --train-batch-size?"),
        ("train.py", ["--imgsz", "640"], "--imgsz: did you mean --train-input-size?"),
        ("train.py", ["--img", "640"], "--img: did you mean --train-input-size?"),
        (
            "train.py",
            ["--data", "my.yaml"],
            "--data: did you mean --train-annot-path? (a data.yaml or COCO file is converted by "
            "tools/convert.py)",
        ),
        ("train.py", ["--lr", "0.1"], "--lr: did you mean --train-lr-init?"),
        ("train.py", ["--lr0", "0.1"], "--lr0: did you mean --train-lr-init?"),
        ("train.py", ["--conf", "0.1"], "--conf: did you mean --test-score-threshold?"),
        (
            "train.py",
            ["--cfg", "yolov3.yaml"],
            "--cfg: did you mean --tiny? (the networks are YOLOv3 and, with --tiny, YOLOv3-tiny)",
        ),
        (
            "train.py",
            ["--device", "0"],
            "--device: CUDA_VISIBLE_DEVICES=1 chooses a GPU, CUDA_VISIBLE_DEVICES=-1 the CPU",
        ),
        ("train.py", ["--name", "x"], "--name: did you mean --train-checkpoints-folder?"),
        ("train.py", ["--tinny"], "--tinny: did you mean --tiny?"),
        ("train.py", ["--mosaic"], "--mosaic: there is no such flag; --help lists them"),
        (
            "train.py",
            ["--train-epochs", "5.5"],
            "--train-epochs: expected a whole number; received 5.5",
        ),
        ("train.py", ["--precision", "double"], "--precision: invalid choice: 'double' "),
        (
            "train.py",
            ["--train-input-scales"],
            "--train-input-scales: expected at least one argument",
        ),
        ("detect.py", ["--source", "a.png"], "--source: give SOURCE without a flag"),
        ("detect.py", ["--source=a.png"], "--source: give SOURCE without a flag"),
        ("detect.py", ["a.png", "--conf", "0.1"], "--conf: did you mean --score-threshold?"),
        ("detect.py", ["a.png", "--iou", "0.1"], "--iou: did you mean --iou-threshold?"),
        ("detect.py", ["a.png", "--imgsz", "320"], "--imgsz: did you mean --input-size?"),
        ("detect.py", ["a.png", "--batch", "8"], "--batch: did you mean --batch-size?"),
        ("detect.py", ["a.png", "--model", "x"], "--model: did you mean --weights?"),
        ("detect.py", ["a.png", "--project", "x"], "--project: did you mean --output?"),
        ("detect.py", ["a.png", "-x"], "unrecognized arguments: -x"),
        ("detect.py", [], "the following arguments are required: SOURCE"),
        ("detect_mnist.py", ["--source", "a.png"], "--source: did you mean --image?"),
        ("evaluate_mAP.py", ["--data", "x"], "--data: did you mean --annotations? (a data.yaml "),
        ("evaluate_mAP.py", ["--weight", "x"], "--weight: did you mean --weights?"),
        (
            "evaluate_mAP.py",
            ["--input-size", "100"],
            "--input-size: expected a multiple of 32 up to 4096; received 100",
        ),
    ],
)
def test_a_mistake_is_one_line(capsys, monkeypatch, script, words, expected):
    monkeypatch.setattr(sys, "argv", [str(REPO / script)])
    with pytest.raises(SystemExit) as end:
        importlib.import_module(script.removesuffix(".py")).parse_args(words)
    assert end.value.code == 2
    out, error = capsys.readouterr()
    assert out == "" and error.startswith(f"{script}: error: {expected}")
    assert error.count("\n") == 1


def test_words_after_two_dashes_are_no_flags():
    parser = Parser("help")
    parser.add_argument("file")
    assert parser.parse_args(["--", "--epochs"]).file == "--epochs"


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
        (["train.py", "--epochs", "10"], "train.py: error: --epochs: did you mean --train-epochs?"),
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
