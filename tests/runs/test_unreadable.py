"""Images that become unreadable while a run trains, validates or evaluates."""

import os
import shutil

import pytest
from small_training import NAMES, config_in, fit, scalars_of, thin_network, training_of

from yolov3 import yolov3 as networks
from yolov3.annotations import read_annotations
from yolov3.detection import Detector
from yolov3.evaluation import evaluate, format_table
from yolov3.runs.unreadable import MOST_NAMED, Unreadable
from yolov3.training import Outcome
from yolov3.weights.checkpoint_search import find_checkpoint
from yolov3.yolov3 import build_yolov3


@pytest.fixture
def records(digit_scenes, tmp_path):
    """Copy the scenes, to delete some."""
    folder = shutil.copytree(digit_scenes.parent, tmp_path / "scenes")
    text = digit_scenes.read_text().replace(str(digit_scenes.parent), str(folder))
    (folder / "scenes.txt").write_text(text)
    return read_annotations(folder / "scenes.txt", len(NAMES))


@pytest.fixture(autouse=True)
def thin(monkeypatch):
    monkeypatch.setattr(networks, "_tiny", thin_network)


def test_others_take_their_place_in_training_and_validation_says_so(records, tmp_path):
    training = training_of(config_in(tmp_path, train_epochs=3), records, records)
    note = training.journal.log_validation

    def spoil(*args):  # when the first epoch is validated
        note(*args)
        if training.epochs_done == 1:
            os.remove(records[2].image_path)
            with open(records[3].image_path, "wb") as file:
                file.write(b"no image")

    training.journal.log_validation = spoil
    assert fit(training) is Outcome.FINISHED
    lines = training.stream.getvalue().splitlines()
    for record in records[2:4]:
        [line] = [line for line in lines if line.startswith(record.image_path)]
        assert "can no longer be read as an image; the next one in the file" in line
    assert lines[-1] == "2 images could not be read, 8 times in all"
    scalars = scalars_of(training.run.log)
    assert sum(count for _, count in scalars["train/unreadable_images"]) == 4  # 2 in an epoch
    assert scalars["validate/unreadable_images"] == [(4, 2), (6, 2)]
    assert len(scalars["loss/total_loss"]) == 6


def test_a_run_without_any_ends_saved_with_one_error(records, tmp_path):
    training = training_of(config_in(tmp_path, train_epochs=50), records)
    note = training.journal.step

    def delete_all(step, *rest):
        note(step, *rest)
        if step == 3:
            for record in records:
                os.remove(record.image_path)

    training.journal.step = delete_all
    with pytest.raises(OSError, match="can no longer be read .* none of the 8 images") as error:
        fit(training)
    assert "\n" not in str(error.value)
    saved = find_checkpoint(training.config.train_checkpoints_folder, "last")
    assert saved.step == training.step >= 3


def test_evaluation_counts_them_as_images_without_detections(records, tmp_path):
    detector = Detector(build_yolov3(len(NAMES), tiny=True), 64, score_threshold=0.0)
    detector.class_names = NAMES
    assert evaluate(detector, records)["unreadable"] == 0
    for record in records[1:]:
        os.remove(record.image_path)
    result = evaluate(detector, records)
    assert result["unreadable"] == len(records) - 1
    assert "7 can no longer be read: nothing was found in them" in format_table(result)
    found = sum(row["boxes"] for row in result["per_class"].values())
    assert found == 16  # the true boxes still count


def test_each_file_is_named_once_and_few_of_many():
    said = []
    unreadable = Unreadable(said.append)
    assert unreadable.summary() == ""
    unreadable.add(["a.png"], "skipped")
    unreadable.add(["a.png"], "skipped")
    assert said == ["a.png: can no longer be read as an image; skipped"]
    assert unreadable.summary() == "1 image could not be read, 2 times in all"
    unreadable.add([f"{number}.png" for number in range(100)], "skipped")
    assert len(said) == MOST_NAMED + 1 and "only counted" in said[-1]
    assert unreadable.summary() == "101 images could not be read, 102 times in all"
