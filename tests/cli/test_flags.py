"""The flags of all scripts: settings, kinds of values, mistakes; and that `--help` is light."""

import argparse
import dataclasses
import importlib
import subprocess
import sys

import pytest

import train
from yolov3.cli.flags import (
    Parser,
    add_config_flags,
    config_from_flags,
    fraction,
    input_hw,
    input_size,
    integer,
    number,
    positive_int,
    read_anchors,
    run_name,
    settings_in,
)
from yolov3.configs import REPO, Config

SCRIPTS = ["train.py", "evaluate_mAP.py", "detect.py", "detect_mnist.py"]
HEAVY = ("tensorflow", "keras", "cv2", "matplotlib", "sklearn")


def parse(*words):
    parser = Parser("help")
    add_config_flags(parser)
    return parser.parse_args(words)


OTHER_VALUES = {str: "a b.txt", int: 64, float: 0.0005, tuple[float, ...]: (0.5, 1.0)}
SETTINGS = [field for field in dataclasses.fields(Config) if field.name not in ("tiny", "anchors")]


@pytest.mark.parametrize("field", SETTINGS, ids=lambda field: field.name)
def test_every_setting_has_a_flag(field):
    value = (field.metadata["choices"] or [OTHER_VALUES[field.type]])[-1]
    words = map(str, value if isinstance(value, tuple) else [value])
    config = config_from_flags(parse("--" + field.name.replace("_", "-"), *words))
    assert config == Config(**{field.name: value}) != Config()


def test_anchors_are_a_preset_or_a_file():
    config = config_from_flags(parse("--tiny", "--anchors", "yolov3-tiny-darknet"))
    assert config == Config(tiny=True, anchors="yolov3-tiny-darknet")
    with pytest.raises(ValueError, match="anchors: expected one of .*received nowhere.json"):
        config_from_flags(parse("--anchors", "nowhere.json"))


def test_flags_override_a_base_and_leave_no_trace_if_not_given():
    assert vars(parse()) == {}
    base = Config(seed=4, train_lr_init=0.5, tiny=True)
    config = config_from_flags(parse("--seed", "5"), base)
    assert config == dataclasses.replace(base, seed=5)
    assert not config_from_flags(parse("--no-tiny")).tiny
    assert config_from_flags(parse("--tiny")).tiny


def test_the_end_of_the_rate_follows_its_start_unless_it_was_chosen():
    lower = parse("--train-lr-init", "5e-5")
    assert config_from_flags(lower, Config()) == Config(train_lr_init=5e-5)
    assert config_from_flags(lower, Config(train_lr_end=1e-5)).train_lr_end == 1e-5
    both = parse("--train-lr-init", "5e-5", "--train-lr-end", "2e-5")
    assert config_from_flags(both, Config()).train_lr_end == 2e-5


@pytest.mark.parametrize(
    ("parse_word", "good", "bad"),
    [
        (integer, {"-1": -1, "20": 20}, ["5.5", "many"]),
        (number, {"1e-3": 0.001, "-2": -2.0}, ["x"]),
        (fraction, {"0": 0.0, "1": 1.0, "0.3": 0.3}, ["-0.1", "1.1", "nan", "x"]),
        (positive_int, {"1": 1, "20": 20}, ["0", "-3", "1.5"]),
        (input_size, {"32": 32, "416": 416}, ["0", "-32", "400", "x"]),
        (input_hw, {"416": (416, 416), "320x608": (320, 608), "32X64": (32, 64)}, ["0", "320x"]),
    ],
)
def test_kinds_of_values(parse_word, good, bad):
    for text, value in good.items():
        assert parse_word(text) == value
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=f"received {text}"):
            parse_word(text)


def settings_of(text, tmp_path):
    parser, path = Parser("help"), tmp_path / "my.yaml"
    parser.add_argument("--name")
    add_config_flags(parser)
    path.write_text(text)
    return settings_in(str(path), parser)


def test_a_file_has_settings_by_their_names(tmp_path, monkeypatch):
    text = "tiny: yes\ntrain-epochs: 12\nweights: a b.weights\ntrain_lr_init: 1e-3\nseed: 010\n"
    expected = {"tiny": True, "train_epochs": 12, "weights": "a b.weights", "train_lr_init": 1e-3}
    assert settings_of(text, tmp_path) == expected | {"seed": 10}
    scales = {"train_input_scales": (0.5, 1)}
    assert settings_of("train_input_scales: [0.5, 1]", tmp_path) == scales
    for text in ("train_average_decay: 0", "train_epochs: 1.5"):  # TensorFlow wants floats
        assert isinstance(*settings_of(text, tmp_path).values(), float)
    assert settings_of("anchors: yolov3-tiny", tmp_path) == {"anchors": Config(tiny=True).anchors}
    own = Config(tiny=True, train_epochs=2.5, anchors=[[[1, 2], [3, 4], [5, 6.5]]] * 2, weights="x")
    for config in (Config(), own, Config(recipe="images")):
        settings = settings_of(config.to_json(), tmp_path)
        assert config_from_flags(argparse.Namespace(**settings)) == config
    (tmp_path / "my.yaml").write_text("tiny: true\nseed: 3\nweights: mine")
    args = train.parse_args([f"--config={tmp_path / 'my.yaml'}", "--seed=4", "--no-tiny"])
    assert config_from_flags(args) == Config(seed=4, weights="mine")


WRONG_SETTINGS = {
    "train_epoch: 3": "train_epoch: no setting; did you mean --train-epochs?",
    "batch: 8": "batch: no setting; did you mean --train-batch-size?",
    "data: {a: b}": "data: no setting; did you mean --train-annot-path? (a data.yaml or",
    "name: x": "name: no setting; give --name as a flag",
    "train_epochs: many": "train_epochs: expected float; received 'many'",
    "train_epochs: -1": "train_epochs: expected more than 0; received -1.0",
    "tiny: 2": "tiny: expected yes or no; received '2'",
    "tiny: [yes]": "tiny: expected yes or no; received (True,)",
    "train_input_scales: 0.5 1": "expected a list of numbers; received '0.5 1'",
    "seed:": "seed: expected int; received ''",
    "seed: 1.5": "seed: expected int; received 1.5",
    "weights: {a: b}": "weights: expected str; received {'a': 'b'}",
    "precision: double": "precision: expected one of auto, float32, bfloat16, float16; received",
    "recipe: photos": "recipe: expected one of digits, images; received 'photos'",
    "anchors: nowhere.json": "anchors: expected one of yolov3, yolov3-tiny, ",
    "anchors: [[1, 2]]": "anchors: expected tuple; received ((1, 2),)",
    "tiny: [": "1: broken YAML: ",
    "3": "expected settings",
}


@pytest.mark.parametrize("text", WRONG_SETTINGS)
def test_a_wrong_setting_of_a_file_is_one_line(text, tmp_path):
    with pytest.raises(ValueError) as error:
        settings_of(text, tmp_path)
    message = str(error.value)
    assert message.startswith(f"{tmp_path}/my.yaml:") and "\n" not in message
    assert WRONG_SETTINGS[text] in message


@pytest.mark.parametrize("name", ["", "-x", ".x", "a/b", "a b", "x" * 61, "best-000100", "..", "_"])
def test_a_name_that_is_no_folder_of_a_run_is_refused(name):
    with pytest.raises(argparse.ArgumentTypeError, match="expected at most 60 letters"):
        run_name(name)
    for good in ("cells", "2nd_try.v3", "Zellen-ü", "best", "x" * 60):
        assert run_name(good) == good


DATA = "did you mean --train-annot-path? (a data.yaml or COCO file is converted by "
DEVICE = "CUDA_VISIBLE_DEVICES=1 chooses a GPU, CUDA_VISIBLE_DEVICES=-1 the CPU"
SIZE = "expected a multiple of 32 up to 4096; received 100"
MISTAKES = {
    "train.py --epochs 10": "did you mean --train-epochs?",
    "train.py --batch=8": "did you mean --train-batch-size?",
    "train.py --data my.yaml": DATA,
    "train.py --conf 0.1": "did you mean --test-score-threshold?",
    "train.py --cfg x.yaml": "did you mean --tiny? (the networks are YOLOv3 and, with --tiny, ",
    "train.py --device 0": DEVICE,
    "train.py --name=x --resume": "a resumed run keeps its name",
    "train.py --tinny": "did you mean --tiny?",
    "train.py --mosaic": "did you mean --augment-mosaic?",
    "evaluate_mAP.py --json": "did you mean --report?",
    "train.py --quux": "there is no such flag; --help lists them",
    "train.py --train-batch-size 5.5": "expected a whole number; received 5.5",
    "train.py --precision double": "invalid choice: 'double' ",
    "detect.py --source=a.png": "give SOURCE without a flag",
    "detect.py --data my.yaml": "a data.yaml or COCO file is converted by tools/convert.py",
    "detect.py --conf 0.1": "did you mean --score-threshold?",
    "detect.py --batch 8": "did you mean --batch-size?",
    "detect_mnist.py --source a.png": "did you mean --image?",
    "evaluate_mAP.py --data x.txt": "did you mean --annotations? (a data.yaml or COCO file ",
    "evaluate_mAP.py --input-size 100": SIZE,
    "tune.py --tiny": "flags of train.py stand behind --",
    "tune.py --minuts=5": "did you mean --minutes?",
    "launch.py --train-epochs=5": "flags of train.py stand behind --",
}


def mistake(capsys, monkeypatch, script, *words) -> str:
    monkeypatch.setattr(sys, "argv", [script])
    with pytest.raises(SystemExit) as end:
        importlib.import_module(script.removesuffix(".py")).parse_args(list(words))
    out, error = capsys.readouterr()
    assert end.value.code == 2 and out == "" and error.count("\n") == 1
    return error


@pytest.mark.parametrize("command", MISTAKES)
def test_a_mistake_is_one_line_that_names_our_flag(capsys, monkeypatch, command):
    script, flag = command.replace("=", " ").split()[:2]
    line = mistake(capsys, monkeypatch, *command.split())
    assert line.startswith(f"{script}: error: {flag}: {MISTAKES[command]}")


def test_missing_arguments_and_short_flags(capsys, monkeypatch):
    line = mistake(capsys, monkeypatch, "detect.py")
    assert line == "detect.py: error: the following arguments are required: SOURCE\n"
    line = mistake(capsys, monkeypatch, "detect.py", "a.png", "-x")
    assert line == "detect.py: error: unrecognized arguments: -x\n"


def test_words_after_two_dashes_are_no_flags():
    parser = Parser("help")
    parser.add_argument("file")
    assert parser.parse_args(["--", "--epochs"]).file == "--epochs"


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_loads_nothing_heavy(script, tmp_path):
    command = [sys.executable, "-X", "importtime", REPO / script, "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and f"usage: {script}" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "yolov3.cli.flags" in loaded
    assert not loaded.intersection(HEAVY)


def test_anchors_are_read_from_a_preset_a_file_or_a_checkpoint_s_configuration(tmp_path):
    path = tmp_path / "anchors.json"
    own = Config(tiny=True, anchors=(((1, 2), (3, 4), (5, 6.5)),) * 2)
    assert read_anchors("yolov3-tiny-darknet")[0] == ((23, 27), (37, 58), (81, 82))
    path.write_text('{"anchors": [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 9], [10, 11.5]]]}')
    assert read_anchors(path) == (((1, 2), (3, 4), (5, 6)), ((7, 8), (9, 9), (10, 11.5)))
    path.write_text(own.to_json(), encoding="utf-8")
    assert read_anchors(path) == own.anchors
    for text in ('{"anchors": [[1, 2], [3, 4]]}', "{}", '{"anchors": "yolov3"}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="anchors.json: expected anchors as"):
            read_anchors(path)
    with pytest.raises(ValueError, match="anchors: expected one of yolov3, .*; received coco"):
        read_anchors("coco")
