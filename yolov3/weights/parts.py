"""The parts of a network: its convolutions in darknet's order, and its backbone."""

import keras

# Convolutions of the feature extractor, which come first in both networks. Darknet-53 has 52: the
# 53rd layer of its name is the ImageNet classifier. Tiny's ends with the 1024 filters of conv_6.
BACKBONE_CONVS = {"yolov3": 52, "yolov3_tiny": 7}


def conv_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the convolutions conv_0, conv_1 ... in the order of darknet's cfg.

    They are `Conv2D`, but for some in a folded network: see `winograd`.
    """
    convs = [layer for layer in model.layers if layer.name.startswith("conv_")]
    return sorted(convs, key=lambda layer: int(layer.name.removeprefix("conv_")))


def norm_of(model: keras.Model, conv: keras.layers.Conv2D) -> keras.layers.Layer | None:
    """Return the batch normalisation behind a convolution, None for an output convolution."""
    return None if conv.use_bias else model.get_layer(conv.name.replace("conv", "bn"))


def backbone_layers(model: keras.Model) -> list[keras.layers.Conv2D]:
    """Return the backbone's convolutions: conv_0 to conv_51, in YOLOv3-tiny conv_0 to conv_6."""
    return conv_layers(model)[: BACKBONE_CONVS[model.name]]


def freeze_backbone(model: keras.Model) -> None:
    """Keep the backbone as it is: no gradients, and its batch normalisation in inference mode.

    A `tf.function` that trains the model must be traced anew afterwards; so after `unfreeze`.
    """
    _set_trainable(model, backbone_layers(model), False)


def unfreeze(model: keras.Model) -> None:
    """Let all layers learn again."""
    _set_trainable(model, conv_layers(model), True)


def network_name(tiny: bool) -> str:
    """Name a network, for people."""
    return "YOLOv3-tiny" if tiny else "YOLOv3"


def class_count(model: keras.Model) -> int:
    """Return how many classes a network of `build_yolov3` tells apart."""
    return model.outputs[0].shape[-1] - 5


def is_tiny(model: keras.Model) -> bool:
    """Tell YOLOv3-tiny, with two scales, from YOLOv3, with three."""
    return len(model.outputs) == 2


def _set_trainable(model, convs, trainable):
    for conv in convs:
        conv.trainable = trainable
        if norm := norm_of(model, conv):
            norm.trainable = trainable
