"""Tests of --resume: which checkpoint it goes on with, and what it says of changed settings."""

import pytest
from checkpoint_samples import save

import train
from yolov3.runs.resume import resumable


def resumed(path, *flags):
    return resumable(str(path), train.parse_args(["--resume", str(path), *flags]))


def test_newest_is_resumed_with_its_own_settings(tmp_path, capsys):
    save(tmp_path / "a", "last", 100)
    last = save(tmp_path / "b", "last", 50)
    config, checkpoint = resumed(tmp_path)
    assert checkpoint.path == last
    assert config == checkpoint.config and config.seed == 3
    assert capsys.readouterr().out == ""


def test_empty_path_is_the_folder_of_the_flag(tmp_path, capsys):
    last = save(tmp_path / "a", "last", 100)
    args = train.parse_args(["--resume", f"--train-checkpoints-folder={tmp_path}"])
    config, checkpoint = resumable("", args)
    assert checkpoint.path == last
    assert config.train_checkpoints_folder == "checkpoints"  # where the log is can still be told
    assert capsys.readouterr().out == ""


def test_a_run_stays_in_its_folder(tmp_path, capsys):
    save(tmp_path, "last", 100)
    config, _ = resumed(tmp_path, "--train-checkpoints-folder=elsewhere")
    assert config.train_checkpoints_folder == "checkpoints"
    assert capsys.readouterr().out.startswith("note: --train-checkpoints-folder has no effect")


def test_changed_settings_are_named_with_what_they_do(tmp_path, capsys):
    save(tmp_path, "last", 100)
    flags = ["--train-lr-init=0.5", "--train-logdir=elsewhere", "--seed=3", "--augment-flip=0.5"]
    config, _ = resumed(tmp_path, *flags)
    assert (config.train_lr_init, config.train_logdir) == (0.5, "elsewhere")
    assert capsys.readouterr().out.splitlines() == [
        "changed: train_logdir from 'log' to 'elsewhere' (no effect on the weights)",
        "changed: train_lr_init from 0.001 to 0.5 (the run will differ)",
        "changed: augment_flip from 0.0 to 0.5 (the run will differ)",
    ]


def test_flags_count_together_with_the_settings_of_the_run(tmp_path):
    save(tmp_path, "last", 100, train_lr_init=0.01)
    config, _ = resumed(tmp_path, "--train-lr-end=0.005")  # more than the default rate
    assert (config.train_lr_init, config.train_lr_end) == (0.01, 0.005)
    with pytest.raises(ValueError, match="train_lr_end: expected 0 to train_lr_init"):
        resumed(tmp_path, "--train-lr-end=0.05")


def test_another_way_to_validate_is_said_to_seek_the_best_anew(tmp_path, capsys):
    save(tmp_path, "last", 100)
    resumed(tmp_path, "--test-annot-path=harder.txt")
    assert capsys.readouterr().out.endswith(
        "'harder.txt' (no effect on the weights; the best are sought anew)\n"
    )


def test_another_network_is_refused(tmp_path):
    last = save(tmp_path, "last", 100)
    with pytest.raises(ValueError, match=f"{last}: expected --tiny, as it was trained"):
        resumed(tmp_path, "--no-tiny")
    resumed(tmp_path, "--anchors=yolov3-tiny")
    with pytest.raises(ValueError, match=f"{last}: it was trained with other anchors"):
        resumed(tmp_path, "--anchors=yolov3-tiny-darknet")


def test_checkpoint_to_detect_with_is_refused(tmp_path):
    best = save(tmp_path, "best", 100)
    with pytest.raises(ValueError, match=rf"{best}: expected a checkpoint last-\*; received one"):
        resumed(best)


def test_damaged_newest_one_is_named_and_the_one_before_taken(tmp_path, capsys):
    before = save(tmp_path, "last", 100)
    newest = save(tmp_path, "last", 200)
    (newest / "resume.safetensors").write_bytes(b"half")
    assert resumed(tmp_path)[1].path == before
    out = capsys.readouterr().out
    assert out.startswith(f"passed over: {newest}: ") and out.count("\n") == 1
