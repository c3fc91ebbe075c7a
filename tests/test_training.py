"""Training: it learns, logs what it did, keeps the best, skips bad steps and lost images."""

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf
from small_training import (
    NAMES,
    after_each,
    config_in,
    events_of,
    fit,
    read_log,
    scalars_of,
    thin_network,
    training_of,
)

from yolov3 import training as training_module
from yolov3 import yolov3 as networks
from yolov3.annotations import read_annotations
from yolov3.augment import Augmentation
from yolov3.checkpoints import find_checkpoint
from yolov3.dataset import training_batches
from yolov3.detection import Detector
from yolov3.evaluation import evaluate
from yolov3.runs.run_logger import MAX_BATCHES_SHOWN
from yolov3.train_step import TrainStep
from yolov3.training import MAX_SKIPPED_IN_A_ROW, Outcome
from yolov3.validation import NUM_EXAMPLES

REPEATS = 16  # of the eight scenes in an epoch: few epochs, as each writes two checkpoints


@pytest.fixture(scope="module")
def records(digit_scenes):
    return read_annotations(digit_scenes, len(NAMES))


@pytest.fixture(scope="module")
def trained(records, tmp_path_factory):
    """Train YOLOv3-tiny on the eight scenes until they are known by heart."""
    config = config_in(
        tmp_path_factory.mktemp("trained"),
        train_input_size=64,
        train_warmup_epochs=0.2,
        augment_mosaic=0.0,
    )
    training = training_of(config, records[:] * REPEATS, records)
    assert fit(training) is Outcome.FINISHED
    return training


def test_it_learns_the_scenes_it_is_trained_on(trained, records):
    result = evaluate(Detector(trained.run.checkpoints, score_threshold=0.001), records).figures
    assert result["mAP50"] >= 0.9
    assert (result["images"], result["unreadable"]) == (len(records), 0)


def test_log_has_the_tags_of_the_tutorial_at_their_steps(trained):
    scalars = scalars_of(trained.run.log)
    per_epoch, total = trained.schedule.steps_per_epoch, trained.schedule.total_steps
    assert (per_epoch, total) == (32, 64)
    step_tags = [f"loss/{name}_loss" for name in ("total", "giou", "conf", "prob")]
    for tag in ["lr", "train/gradient_norm", "train/skipped_steps", *step_tags]:
        assert [step for step, _ in scalars[tag]] == list(range(1, total + 1)), tag
    epoch_tags = [f"validate_loss/{name}_val" for name in ("total", "giou", "conf", "prob")]
    for tag in [*epoch_tags, "mAP/mAP50", "mAP/mAP75", "mAP/mAP"]:
        assert [step for step, _ in scalars[tag]] == [per_epoch, total], tag
    rates = [value for _, value in scalars["lr"]]
    assert rates[0] == 0.0 and rates[6] == pytest.approx(1e-3)  # warm-up: 0.2 epochs
    assert rates[-1] == pytest.approx(trained.config.train_lr_end, rel=0.1)
    parts = [scalars[f"loss/{name}_loss"][5][1] for name in ("giou", "conf", "prob")]
    assert scalars["loss/total_loss"][5][1] == pytest.approx(sum(parts), rel=1e-5)
    assert {value for _, value in scalars["train/skipped_steps"]} == {0}
    sizes = [trained.schedule.input_size(epoch) for epoch in (0, 1) for _ in range(per_epoch)]
    assert [value for _, value in scalars["train/input_size"]] == sizes
    assert min(value for _, value in scalars["train/gradient_norm"]) > 0


def test_log_shows_what_was_found_in_the_first_images(trained):
    events = events_of(trained.run.log)
    shown = {step: value for tag, step, value in events if tag == "validate/detections"}
    assert sorted(shown) == [32, 64]  # the last steps of the epochs
    width, height, *images = shown[trained.step]
    assert (width, height, len(images)) == (b"276", b"134", NUM_EXAMPLES)  # of 128 px, in frames
    for encoded in images:  # black on white but for the boxes: truth and detections
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        assert all(np.ptp(half, axis=-1).max() > 100 for half in np.hsplit(image, 2))


def test_log_describes_all_that_tensorboard_shows(trained):
    log = read_log(trained.run.log)
    tags = {tag for tag in log.Tags()["tensors"] if "_" != tag[0]} - {"custom_scalars__config__"}
    assert all(log.SummaryMetadata(tag).summary_description for tag in tags)
    layers = [layer.name for layer in trained.train_step.ema.layers]
    for group, kind in (("weights", "conv"), ("outputs", "leaky")):
        logged = {tag for tag in tags if tag.startswith(group)}
        assert logged == {f"{group}/{name}" for name in layers if name.startswith(kind)}
        for tag in logged:
            counts = [tf.make_ndarray(x.tensor_proto)[:, 2].sum() for x in log.Tensors(tag)]
            assert len(counts) == 2 and min(counts) > 0
    assert {"validate/confusion_matrix", "PR/all classes/pr_curves"} < tags


def test_best_checkpoint_has_the_metrics_of_its_epoch(trained):
    best = find_checkpoint(trained.run.checkpoints, "best")
    logged = dict(scalars_of(trained.run.log)["mAP/mAP"])
    assert best.metrics["mAP"] == pytest.approx(max(logged.values()))
    assert logged[best.step] == pytest.approx(best.metrics["mAP"])


def test_without_test_set_the_last_epoch_is_the_best(records, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(networks, "_tiny", thin_network)
    config = config_in(tmp_path, train_warmup_epochs=2)  # as long as the training
    training = training_of(config, records[:4])
    assert fit(training) is Outcome.FINISHED
    best, last = (find_checkpoint(training.run.checkpoints, kind) for kind in ("best", "last"))
    assert best.step == last.step == training.step == best.epoch == 2
    assert best.metrics == {} and best.best_mAP == -1.0
    for name, value in best.weights().items():
        np.testing.assert_array_equal(value, last.weights()[name], err_msg=name)
        assert np.isfinite(value).all()
    scalars = scalars_of(training.run.log)
    assert not [tag for tag in scalars if tag.startswith(("validate_loss", "mAP"))]
    assert [value for _, value in scalars["lr"]] == pytest.approx([0.0, 5e-4])
    assert "skipped" not in capsys.readouterr().err


def test_the_input_size_grows_across_epochs(records, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(networks, "_tiny", thin_network)
    sizes = {"train_input_size": 64, "train_input_scales": (0.5, 1.0)}
    config = config_in(tmp_path, **sizes, train_epochs=3, augment_mosaic=0.0)
    training = training_of(config, records, records)
    assert fit(training) is Outcome.FINISHED
    error = capsys.readouterr().err
    assert [size in error for size in ("epoch 1/3 32 px", "epoch 2/3 64 px")] == [True, True]
    best = find_checkpoint(training.run.checkpoints)
    assert (best.input_size, best.best_size) == (64, 64)
    sizes = [size for _, size in scalars_of(training.run.log)["train/input_size"]]
    assert sizes == [32, 32, 64, 64, 64, 64]


# Steps that are not finite


@pytest.fixture
def train_with_bad_steps(records, tmp_path, monkeypatch, capsys):
    """Return a function that trains, one image to a step; some steps (from 1) are not finite."""
    monkeypatch.setattr(networks, "_tiny", thin_network)
    call = TrainStep.__call__

    def train(bad_steps, repeats=2):
        def call_with_nan(train_step, *batch):
            kernel = train_step.model.get_layer("conv_1").kernel
            good, is_bad = kernel.numpy(), int(train_step.step_count) + 1 in bad_steps
            kernel.assign(good * np.nan if is_bad else good)
            metrics = call(train_step, *batch)
            if is_bad:
                kernel.assign(good)
            return metrics

        monkeypatch.setattr(TrainStep, "__call__", call_with_nan)
        config = config_in(tmp_path, train_batch_size=1, train_epochs=1, augment_mosaic=0.0)
        training = training_of(config, records[:] * repeats)
        outcome = fit(training)
        return training, outcome, capsys.readouterr().err

    return train


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_skipped_step_is_counted_and_shown_with_its_images(
    train_with_bad_steps, records, at_once, monkeypatch
):
    monkeypatch.setattr(training_module, "steps_at_once", lambda: at_once)
    training, outcome, said = train_with_bad_steps({2, 5})
    assert outcome is Outcome.FINISHED
    scalars = scalars_of(training.run.log)
    steps = list(range(1, 17))
    assert [step for step, _ in scalars["lr"]] == steps
    assert scalars["train/skipped_steps"] == [(step, (step > 1) + (step > 4)) for step in steps]
    for tag in ("loss/total_loss", "train/gradient_norm"):
        assert [step for step, _ in scalars[tag]] == [step for step in steps if step not in (2, 5)]

    shown = {step: v for tag, step, v in events_of(training.run.log) if "skipped_images" in tag}
    assert set(shown) == {2, 5}
    width, height, png = shown[2]
    assert (int(width), int(height)) == (32, 32)
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert np.ptp(image, axis=-1).max() > 100  # with boxes

    lines = said.splitlines()
    [skip] = [line for line in lines if line.startswith("step 2: ")]
    assert "is not finite; the step is skipped and changes no weight" in skip
    size, seed = training.config.train_input_size, training.config.seed
    *_, indices = next(
        iter(training_batches(records[:] * 2, Augmentation(), seed, 1, size, (1, 2)))
    )
    assert skip.endswith(f"Its images: {records[int(indices[0, 0]) % len(records)].image_path}")
    assert lines[-1] == "2 steps of this run skipped: loss or gradient not finite"


def test_ten_in_a_row_end_the_run_with_a_report(train_with_bad_steps):
    training, outcome, said = train_with_bad_steps(range(2, 2 + MAX_SKIPPED_IN_A_ROW))
    assert outcome is Outcome.DIVERGED and outcome.value == 1
    assert training.step == 11
    report = said.partition("training has diverged: ")[2].splitlines()
    assert "the last 10 steps was not finite. Step 11:" in report[0]
    assert report[1].split() == ["loss", "nan", "(giou", "nan,", "conf", "nan,", "prob", "nan)"]
    assert report[2].split() == ["gradient", "norm", "nan"]
    rate = dict(scalars_of(training.run.log)["lr"])[11]
    assert float(report[3].split()[2]) == pytest.approx(rate, rel=1e-2) and rate > 0
    assert report[4].split()[0] == "images" and "scene" in report[4] and ".png" in report[4]
    assert "--train-lr-init" in report[5]


def test_after_nine_and_a_good_one_it_continues_and_few_are_shown(train_with_bad_steps):
    bad_steps = {step for step in range(1, 33) if step % MAX_SKIPPED_IN_A_ROW}
    training, outcome, said = train_with_bad_steps(bad_steps, repeats=4)
    assert outcome is Outcome.FINISHED
    assert said.count("is not finite;") == len(bad_steps) == 29
    shown = [tag for tag, *_ in events_of(training.run.log) if "skipped_images" in tag]
    assert len(shown) == MAX_BATCHES_SHOWN


# Images that become unreadable during a run


@pytest.fixture
def own_records(digit_scenes, tmp_path, monkeypatch):
    """Copy the scenes, to delete some; the network is a thin one."""
    monkeypatch.setattr(networks, "_tiny", thin_network)
    folder = shutil.copytree(digit_scenes.parent, tmp_path / "scenes")
    text = digit_scenes.read_text().replace(str(digit_scenes.parent), str(folder))
    (folder / "scenes.txt").write_text(text)
    return read_annotations(folder / "scenes.txt", len(NAMES))


def test_other_images_take_the_place_of_lost_ones(own_records, tmp_path, capsys):
    training = training_of(config_in(tmp_path, train_epochs=3), own_records, own_records)

    def spoil(step, *_):
        if step == 2:  # the first epoch is validated
            os.remove(own_records[2].image_path)
            Path(own_records[3].image_path).write_bytes(b"no image")

    with after_each("log_validation", spoil):
        assert fit(training) is Outcome.FINISHED
    lines = capsys.readouterr().err.splitlines()
    for record in own_records[2:4]:
        [line] = [line for line in lines if line.startswith(record.image_path)]
        assert "cannot be read as an image; the next one in the file" in line
    assert lines[-1] == "2 images could not be read, 8 times in all"
    scalars = scalars_of(training.run.log)
    assert sum(count for _, count in scalars["train/unreadable_images"]) == 4  # 2 in an epoch
    assert scalars["validate/unreadable_images"] == [(4, 2), (6, 2)]
    assert len(scalars["loss/total_loss"]) == 6


def test_a_run_without_any_image_ends_saved_with_one_error(own_records, tmp_path):
    training = training_of(config_in(tmp_path, train_epochs=50), own_records)

    def delete_all(step, *_):
        if step == 3:
            for record in own_records:
                os.remove(record.image_path)

    with after_each("log_step", delete_all):
        with pytest.raises(OSError, match="^none of the images to train on can be read any more$"):
            fit(training)
    saved = find_checkpoint(training.config.train_checkpoints_folder, "last")
    assert saved.step == training.step >= 3
