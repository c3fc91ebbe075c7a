"""Training: it learns, logs what it did, and keeps the best."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from small_training import (
    NAMES,
    config_in,
    events_of,
    fit,
    scalars_of,
    thin_network,
    training_of,
)

from yolov3 import yolov3 as networks
from yolov3.annotations import read_annotations
from yolov3.detection import Detector
from yolov3.evaluation import evaluate
from yolov3.training import Outcome
from yolov3.validation import NUM_EXAMPLES
from yolov3.weights.checkpoint_search import find_checkpoint

REPEATS = 16  # of the eight scenes in an epoch: few epochs, as each writes two checkpoints


@pytest.fixture(scope="module")
def records(digit_scenes):
    return read_annotations(digit_scenes, len(NAMES))


@pytest.fixture(scope="module")
def trained(records, tmp_path_factory):
    """Train YOLOv3-tiny on the eight scenes until they are known by heart."""
    config = config_in(
        tmp_path_factory.mktemp("trained"), train_input_size=64, train_warmup_epochs=0.2
    )
    training = training_of(config, records * REPEATS, records)
    assert fit(training) is Outcome.FINISHED
    return training


def test_it_learns_the_scenes_it_is_trained_on(trained, records):
    result = evaluate(Detector(trained.run.checkpoints, score_threshold=0.001), records)
    assert result["AP50"] >= 0.9
    assert (result["images"], result["unreadable"]) == (len(records), 0)


def test_losses_fall(trained):
    scalars = scalars_of(trained.run.log)
    for name in ("total", "giou", "conf", "prob"):
        losses = [value for _, value in scalars[f"loss/{name}_loss"]]
        assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:10]), name
        first, last = [value for _, value in scalars[f"validate_loss/{name}_val"]]
        assert last < first, name


def test_log_has_the_tags_of_the_tutorial_at_their_steps(trained):
    scalars = scalars_of(trained.run.log)
    per_epoch, total = trained.plan.steps_per_epoch, trained.plan.total_steps
    assert (per_epoch, total) == (32, 64)
    step_tags = [f"loss/{name}_loss" for name in ("total", "giou", "conf", "prob")]
    for tag in ["lr", "gradient_norm", "train/skipped_steps", *step_tags]:
        assert [step for step, _ in scalars[tag]] == list(range(1, total + 1)), tag
    epoch_tags = [f"validate_loss/{name}_val" for name in ("total", "giou", "conf", "prob")]
    for tag in [*epoch_tags, "mAP/AP50", "mAP/AP75", "mAP/AP"]:
        assert [step for step, _ in scalars[tag]] == [per_epoch, total], tag
    rates = [value for _, value in scalars["lr"]]
    assert rates[0] == 0.0 and rates[6] == pytest.approx(1e-3)  # warm-up: 0.2 epochs
    assert rates[-1] == pytest.approx(trained.config.train_lr_end, rel=0.1)
    parts = [scalars[f"loss/{name}_loss"][5][1] for name in ("giou", "conf", "prob")]
    assert scalars["loss/total_loss"][5][1] == pytest.approx(sum(parts), rel=1e-5)
    assert {value for _, value in scalars["train/skipped_steps"]} == {0}
    assert min(value for _, value in scalars["gradient_norm"]) > 0


def test_log_shows_what_was_found_in_the_first_images(trained):
    events = events_of(trained.run.log)
    shown = {step: value for tag, step, value in events if tag == "validate/detections"}
    assert sorted(shown) == [trained.plan.last_step(epoch) for epoch in range(trained.plan.epochs)]
    width, height, *images = shown[trained.step]
    assert (width, height, len(images)) == (b"64", b"64", NUM_EXAMPLES)
    for encoded in images:  # black on white but for the boxes
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
        assert np.ptp(image, axis=-1).max() > 100


def test_a_box_that_is_not_finite_is_not_drawn(trained):
    images = np.full((1, 64, 64, 3), 255, np.uint8)
    boxes_xyxy = np.float32([[[8, 8, 40, 40], [np.nan, 8, 40, 40], [0, 0, 0, 0]]])
    scores, counts = np.float32([[0.9, 0.9, 0.0]]), np.int32([2])
    batch = (images, boxes_xyxy, scores, np.zeros((1, 3), np.int32), counts)
    images, *found = (tf.constant(part) for part in batch)
    both = trained.validate._draw(images, found)
    first = [part[:, :1] for part in found[:3]]
    alone = trained.validate._draw(images, [*first, tf.constant(counts // 2)])
    np.testing.assert_array_equal(both, alone)
    assert (both != 255).any()


def test_best_checkpoint_has_the_metrics_of_its_epoch(trained):
    best = find_checkpoint(trained.run.checkpoints, "best")
    logged = dict(scalars_of(trained.run.log)["mAP/AP"])
    assert best.metrics["AP"] == pytest.approx(max(logged.values()))
    assert logged[best.step] == pytest.approx(best.metrics["AP"])
    assert "best so far" in trained.stream.getvalue()


def test_without_test_set_the_last_epoch_is_the_best(records, tmp_path, monkeypatch):
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
    assert "skipped" not in training.stream.getvalue()
