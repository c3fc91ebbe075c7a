"""Transfer of weights between networks of other class counts, and the frozen backbone."""

import darknet_cfg
import keras
import numpy as np
import pytest
import tensorflow as tf

from yolov3.checkpoints import save_checkpoint
from yolov3.configs import Config
from yolov3.learner import Learner
from yolov3.optimizer import FusedAdamW
from yolov3.parts import backbone_layers, conv_layers, freeze_backbone, norm_of, unfreeze
from yolov3.transfer import transfer_weights
from yolov3.weights import named_variables, to_arrays
from yolov3.yolov3 import build_yolov3

CONVS = 13  # of YOLOv3-tiny
SOURCE_CLASSES = 5


@pytest.fixture(scope="module")
def layers():
    return darknet_cfg.random_layers(tiny=True, num_classes=SOURCE_CLASSES, seed=0)


@pytest.fixture(scope="module")
def darknet_file(tmp_path_factory, layers):
    path = tmp_path_factory.mktemp("weights") / "five.weights"
    darknet_cfg.write_weights(path, layers)
    return path


@pytest.fixture
def model():
    return build_yolov3(3, tiny=True)


def snapshot(model):
    return to_arrays(named_variables(model))


def changed_layers(before, after):
    """Return the numbers of the layers of which any variable differs."""
    names = {name for name in before if not np.array_equal(before[name], after[name])}
    return {int(name.split("/")[0].split("_")[1]) for name in names}


@pytest.mark.parametrize(
    ("scope", "copied"),
    [("backbone", set(range(7))), ("all-but-heads", set(range(CONVS)) - {9, 12})],
)
def test_scopes_copy_their_layers_and_no_others(model, darknet_file, layers, scope, copied):
    before = snapshot(model)
    report = transfer_weights(model, darknet_file, scope)
    after = snapshot(model)
    assert changed_layers(before, after) == copied
    assert report.copied == [f"conv_{i}" for i in sorted(copied)]
    for i in copied:
        beta, gamma, mean, variance, kernel = layers[i]
        np.testing.assert_array_equal(after[f"bn_{i}/beta"], beta)
        np.testing.assert_array_equal(after[f"bn_{i}/moving_variance"], variance)
        np.testing.assert_array_equal(after[f"conv_{i}/kernel"], kernel.transpose(2, 3, 1, 0))


def test_all_copies_everything_of_the_same_classes(darknet_file, layers):
    model = build_yolov3(SOURCE_CLASSES, tiny=True)
    report = transfer_weights(model, darknet_file, "all")
    assert report.copied == [f"conv_{i}" for i in range(CONVS)]
    np.testing.assert_array_equal(model.get_layer("conv_12").bias.numpy(), layers[12][0])


def test_all_of_other_classes_is_an_error_with_both_counts(model, darknet_file):
    before = snapshot(model)
    with pytest.raises(
        ValueError, match="expected weights for 3 classes.*received those of 5 classes"
    ):
        transfer_weights(model, darknet_file, "all")
    assert changed_layers(before, snapshot(model)) == set()


def test_heads_stay_even_where_they_would_fit(darknet_file):
    model = build_yolov3(SOURCE_CLASSES, tiny=True)
    before = snapshot(model)
    transfer_weights(model, darknet_file, "all-but-heads")
    assert changed_layers(before, snapshot(model)) == set(range(CONVS)) - {9, 12}


def test_a_backbone_file_gives_what_it_has(model, tmp_path, layers):
    darknet_cfg.write_weights(tmp_path / "tiny.conv.15", layers[:9])
    assert transfer_weights(model, tmp_path / "tiny.conv.15", "backbone").copied[-1] == "conv_6"
    report = transfer_weights(model, tmp_path / "tiny.conv.15", "all-but-heads")
    assert report.copied[-1] == "conv_8"
    assert report.rows[10].fate == "skipped: not in the file"
    with pytest.raises(ValueError, match="received a backbone without classes"):
        transfer_weights(model, tmp_path / "tiny.conv.15", "all")


def test_the_table_joins_neighbours_of_one_fate(model, darknet_file):
    freeze_backbone(model)
    assert str(transfer_weights(model, darknet_file, "all-but-heads")) == (
        f"weights of {darknet_file} (all-but-heads):\n"
        "  conv_0 to conv_6      copied, frozen\n"
        "  conv_7 to conv_8      copied\n"
        "  conv_9                skipped: output convolution\n"
        "  conv_10 to conv_11    copied\n"
        "  conv_12               skipped: output convolution"
    )


@pytest.mark.parametrize("scope", ["backbone", "all-but-heads"])
def test_another_network_is_an_error(model, tmp_path, scope):
    path = tmp_path / "full.weights"
    with open(path, "wb") as stream:
        stream.write(b"\0\0\0\0\2\0\0\0" + b"\0" * 12)
        stream.truncate(248_007_048)
    with pytest.raises(
        ValueError, match="expected weights of YOLOv3-tiny; received those of YOLOv3$"
    ):
        transfer_weights(model, path, scope)


def test_unknown_scope_and_missing_source(model, darknet_file, tmp_path):
    with pytest.raises(ValueError, match="scope: expected one of backbone, all-but-heads, all"):
        transfer_weights(model, darknet_file, "head")
    with pytest.raises(ValueError, match="nothing.weights: expected"):
        transfer_weights(model, tmp_path / "nothing.weights", "all")


def test_checkpoints_are_sources_too(model, tmp_path):
    source = build_yolov3(SOURCE_CLASSES, tiny=True)
    state = {"class_names": list("abcde"), "step": 7, "epoch": 1, "metrics": {}, "best_AP": -1.0}
    state |= {"input_size": 416, "best_size": 416}
    save_checkpoint(tmp_path / "run", "best", Config(tiny=True), state, snapshot(source))
    before = snapshot(model)
    report = transfer_weights(model, tmp_path, "all-but-heads")
    assert report.copied == [f"conv_{i}" for i in range(CONVS) if i not in (9, 12)]
    after = snapshot(model)
    np.testing.assert_array_equal(after["conv_8/kernel"], snapshot(source)["conv_8/kernel"])
    np.testing.assert_array_equal(after["conv_9/kernel"], before["conv_9/kernel"])
    with pytest.raises(ValueError, match="received those of 5 classes"):
        transfer_weights(model, tmp_path, "all")
    with pytest.raises(
        ValueError, match="expected weights of YOLOv3; received those of YOLOv3-tiny"
    ):
        transfer_weights(build_yolov3(3), tmp_path, "backbone")


def test_backbone_ends_where_the_heads_begin(model):
    assert [conv.name for conv in backbone_layers(model)] == [f"conv_{i}" for i in range(7)]
    assert backbone_layers(model)[-1].filters == 1024


def train_step(model, optimizer, images):
    """Take one step against a made-up loss; return the outputs in training mode before it."""
    with tf.GradientTape() as tape:
        raw_maps = model(images, training=True)
        loss = tf.add_n([tf.reduce_mean(tf.square(raw)) for raw in raw_maps])
    variables = model.trainable_variables
    optimizer.apply(tape.gradient(loss, variables), variables)
    return raw_maps


@pytest.fixture
def images():
    return tf.constant(np.random.default_rng(5).random((2, 64, 64, 3), np.float32))


def backbone_output(model):
    """Return the network from the picture to the last activation of the backbone."""
    pooled = norm_of(model, backbone_layers(model)[-1]).output
    return keras.Model(model.input, pooled)


def test_frozen_backbone_does_not_move_at_all(model, images, darknet_file):
    transfer_weights(model, darknet_file, "all-but-heads")
    freeze_backbone(model)
    before, features = snapshot(model), backbone_output(model)(images, training=False)
    optimizer = FusedAdamW(1e-2, weight_decay=0.1)
    for _ in range(3):
        train_step(model, optimizer, images)
    after = snapshot(model)
    assert changed_layers(before, after) == set(range(7, CONVS))
    # In training mode too, so batch statistics play no part.
    np.testing.assert_array_equal(backbone_output(model)(images, training=True), features)


def test_unfrozen_batch_normalisation_uses_and_follows_the_batch(model, images, darknet_file):
    transfer_weights(model, darknet_file, "all-but-heads")
    freeze_backbone(model)
    unfreeze(model)
    before, features = snapshot(model), backbone_output(model)(images, training=False)
    trained = backbone_output(model)(images, training=True)
    assert abs(trained - features).numpy().max() > 0.1
    moved = {
        name for name, value in snapshot(model).items() if not np.array_equal(value, before[name])
    }
    assert moved == {f"bn_{i}/moving_{x}" for i in range(7) for x in ("mean", "variance")}


@pytest.mark.parametrize("scaled", [False, True])
def test_an_optimizer_built_on_all_variables_survives_freezing(model, images, scaled):
    """So a run may freeze for some epochs without a new optimizer, whose variables it saves."""
    optimizer = FusedAdamW(1e-2, weight_decay=0.1)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)
    paths, slots = [weight.path for weight in model.variables], len(optimizer.variables)
    freeze_backbone(model)
    assert [weight.path for weight in model.variables] == paths  # the order of the weight average
    before = snapshot(model)
    train_step(model, optimizer, images)
    assert changed_layers(before, snapshot(model)) == set(range(7, CONVS))
    unfreeze(model)
    before = snapshot(model)
    train_step(model, optimizer, images)
    assert changed_layers(before, snapshot(model)) == set(range(CONVS))
    assert len(optimizer.variables) == slots


def test_frozen_layers_are_marked_by_the_convolutions_and_their_normalisation(model):
    freeze_backbone(model)
    frozen = {layer.name for layer in model.layers if layer.weights and not layer.trainable}
    assert frozen == {f"{kind}_{i}" for kind in ("conv", "bn") for i in range(7)}
    unfreeze(model)
    assert all(layer.trainable for layer in conv_layers(model))
    assert len(model.trainable_variables) == 11 * 3 + 2 * 2


def test_learner_trains_with_a_frozen_backbone(darknet_file):
    learner = Learner(Config(tiny=True), num_classes=3, steps_per_epoch=5, precision="float32")
    transfer_weights(learner.model, darknet_file, "all-but-heads")
    freeze_backbone(learner.model)
    before = snapshot(learner.model)
    images = np.random.default_rng(6).integers(0, 256, (2, 64, 64, 3), np.uint8)
    boxes_xyxy = np.float32([[[4, 4, 40, 44]], [[10, 8, 60, 50]]])
    for _ in range(3):  # the learning rate is 0 in the first
        assert learner.step(images, boxes_xyxy, np.int32([[0], [2]]))["finite"]
    assert changed_layers(before, snapshot(learner.model)) == set(range(7, CONVS))
