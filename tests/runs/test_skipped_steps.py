"""Steps that are not finite: skipped, counted, shown; ten in a row end the run with a report."""

import cv2
import numpy as np
import pytest
import tensorflow as tf
from small_training import NAMES, config_in, events_of, fit, scalars_of, thin_network, training_of

from yolov3 import train_step as train_step_module
from yolov3 import training as training_module
from yolov3 import yolov3 as networks
from yolov3.annotations import read_annotations
from yolov3.augment import Augmentation
from yolov3.dataset import training_batches
from yolov3.runs.skipped_steps import MOST_IN_A_ROW, MOST_LOGGED, name_some
from yolov3.training import Outcome
from yolov3.weights.by_name import assign_by_name, state_dict

POISON = 7  # an image of this grey alone becomes NaN


@pytest.fixture(scope="module")
def records(digit_scenes):
    return read_annotations(digit_scenes, len(NAMES))


@pytest.fixture(scope="module")
def one_graph(records, tmp_path_factory):
    """Build one network, in which poison becomes NaN, for all trainings: it is reset for each."""
    as_float = train_step_module.to_float

    def to_float_or_nan(images):
        return tf.where(tf.reduce_all(images == POISON), np.nan, as_float(images))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "_tiny", thin_network)
        patch.setattr(train_step_module, "to_float", to_float_or_nan)
        learner = training_of(config_in(tmp_path_factory.mktemp("graph")), records).learner
        initial = state_dict(learner.variables())

        def reset(*_):
            assign_by_name(learner.variables(), initial)
            return learner

        patch.setattr(training_module, "TrainStep", reset)
        yield


@pytest.fixture
def train(records, one_graph, tmp_path, monkeypatch):
    """Return a function that trains with some steps (from 1) poisoned, one image to each."""
    make_batches = training_module.training_batches

    def train_poisoned(bad_steps, repeats=2, **changes):
        def poisoned_batches(*args):
            first = args[-1][0]
            for step, (images, *rest) in enumerate(make_batches(*args), start=first + 1):
                is_bad = step in bad_steps
                yield (tf.fill(images.shape, np.uint8(POISON)) if is_bad else images, *rest)

        monkeypatch.setattr(training_module, "training_batches", poisoned_batches)
        config = config_in(tmp_path, train_batch_size=1, train_epochs=1, **changes)
        training = training_of(config, records * repeats)
        training.outcome = fit(training)
        return training

    return train_poisoned


def test_a_skipped_step_is_counted_and_shown_with_its_images(train, records):
    training = train({2, 5})
    assert training.outcome is Outcome.FINISHED
    scalars = scalars_of(training.run.log)
    steps = list(range(1, 17))
    assert [step for step, _ in scalars["lr"]] == steps
    assert scalars["train/skipped_steps"] == [(step, (step > 1) + (step > 4)) for step in steps]
    for tag in ("loss/total_loss", "gradient_norm"):
        assert [step for step, _ in scalars[tag]] == [step for step in steps if step not in (2, 5)]

    shown = {step: v for tag, step, v in events_of(training.run.log) if "skipped_images" in tag}
    assert set(shown) == {2, 5}
    width, height, png = shown[2]
    assert (int(width), int(height)) == (32, 32)
    image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert (image == POISON).all(axis=2).any() and not (image == POISON).all()  # with boxes

    lines = training.stream.getvalue().splitlines()
    [skip] = [line for line in lines if line.startswith("step 2: ")]
    assert "is not finite; the step is skipped and changes no weight" in skip
    size, seed = training.config.train_input_size, training.config.seed
    *_, indices = next(iter(training_batches(records * 2, Augmentation(), seed, 1, size, (1, 2))))
    assert skip.endswith(f"Its images: {records[int(indices[0, 0]) % len(records)].image_path}")
    assert lines[-1] == "2 steps of this run had no finite loss or gradient: skipped"


def test_ten_in_a_row_end_the_run_with_a_report(train):
    training = train(range(2, 2 + MOST_IN_A_ROW))
    assert training.outcome is Outcome.DIVERGED and training.outcome.value == 1
    assert training.step == 11
    report = training.stream.getvalue().partition("training has diverged: ")[2].splitlines()
    assert "10 steps in a row, up to step 11" in report[0]
    assert report[1].split() == ["loss", "nan", "(giou", "nan,", "conf", "nan,", "prob", "nan)"]
    assert report[2].split() == ["gradient", "norm", "nan"]
    rate = dict(scalars_of(training.run.log)["lr"])[11]
    assert report[3].split()[:2] == ["learning", "rate"]
    assert float(report[3].split()[2]) == pytest.approx(rate, rel=1e-2) and rate > 0
    assert report[4].split()[0] == "images" and "scene" in report[4] and ".png" in report[4]
    assert "--train-lr-init" in report[5]


def test_ten_in_a_row_at_the_very_end_are_a_failure_too(train):
    training = train(range(7, 17))
    assert training.step == training.plan.total_steps == 16
    assert training.outcome is Outcome.DIVERGED


def test_nine_then_a_good_one_go_on_and_few_are_shown(train):
    bad_steps = {step for step in range(1, 33) if step % MOST_IN_A_ROW}
    training = train(bad_steps, repeats=4)
    assert training.outcome is Outcome.FINISHED
    assert training.stream.getvalue().count("not finite") == len(bad_steps) == 29
    shown = [tag for tag, *_ in events_of(training.run.log) if "skipped_images" in tag]
    assert len(shown) == MOST_LOGGED


def test_names_of_many_images_are_cut():
    assert name_some(["a.png"]) == "a.png"
    assert name_some([f"{number}.png" for number in range(11)]).endswith("6.png, 7.png and 3 more")
