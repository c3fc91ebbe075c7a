"""The Validator on dense images, with a network that finds everything."""

import pytest
from perfect_network import DENSE, SETTINGS, SIZE, dense_record, perfect_network

from yolov3 import draw, validation
from yolov3.configs import Config
from yolov3.validation import BATCH_SIZE, Validator


@pytest.mark.parametrize("counts", DENSE, ids=str)
def test_who_finds_everything_has_a_map_of_one(counts, tmp_path, monkeypatch):
    config, record = Config(**SETTINGS), dense_record(tmp_path, counts)
    network = perfect_network(record, len(counts), config.anchors)
    monkeypatch.setattr(validation, "fold", lambda *_: network)
    names = [str(label) for label in range(len(counts))]
    validate = Validator(config, [record] * (BATCH_SIZE + 1), names, "float32")
    metrics = validate(None, SIZE)
    assert [metrics[name] for name in ("mAP50", "mAP75", "mAP", "F1")] == pytest.approx([1] * 4)
    assert 0.1 < metrics["best_threshold"] < 0.5  # scores are above 0.5


def test_examples_show_one_label_on_one_object(tmp_path, monkeypatch):
    config, record = Config(**SETTINGS), dense_record(tmp_path, (1, 1))
    sure = perfect_network(record, 2, config.anchors)

    def unsure(images, training):
        fine, coarse = sure(images, training)
        return [fine + ([0.0] * 5 + [21.0, 21.0]), coarse]  # each object may be of both classes

    drawn = []
    monkeypatch.setattr(validation, "fold", lambda *_: unsure)
    monkeypatch.setattr(draw, "draw_pair", lambda *objects: drawn.append(objects))
    Validator(config, [record], ["nut", "washer"], "float32")(None, SIZE)
    [(image, true, (boxes_xyxy, _, classes), _)] = drawn
    assert image.shape == (SIZE, SIZE, 3) and true is record
    assert len(boxes_xyxy) == 2 and sorted(classes.tolist()) == [0, 1]
