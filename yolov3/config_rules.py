"""What a configuration must fulfil beyond the types of its fields."""

import dataclasses
import math

NEEDED = ("train_classes", "train_annot_path")
AT_LEAST_0 = ("train_warmup_epochs", "train_weight_decay", "freeze_epochs", "augment_scale")
MAX_SEED = 2**32 - 1  # of NumPy
AT_LEAST_1 = ("train_epochs", "train_batch_size")
SHARES = (
    "augment_flip",
    "augment_crop",
    "augment_translate",
    "augment_color",
    "test_score_threshold",
    "test_iou_threshold",
)


def requirements(config):
    """Yield (field, does it hold, what was expected) for a `configs.Config` of the right types."""
    for field in dataclasses.fields(config):
        if choices := field.metadata.get("choices"):
            yield field.name, getattr(config, field.name) in choices, f"one of {', '.join(choices)}"
        if sizes := field.metadata.get("sizes"):
            expected = f"a positive multiple of {sizes.step} up to {sizes[-1]}"
            yield field.name, getattr(config, field.name) in sizes, expected
    for name in NEEDED:
        yield name, getattr(config, name) != "", "the path of a file"
    for name in AT_LEAST_1:
        yield name, getattr(config, name) >= 1, "at least 1"
    for name in AT_LEAST_0:
        yield name, 0 <= getattr(config, name) < math.inf, "at least 0"
    for name in SHARES:
        yield name, 0 <= getattr(config, name) <= 1, "0 to 1"
    yield "seed", 0 <= config.seed <= MAX_SEED, f"0 to {MAX_SEED}"
    yield "train_lr_init", 0 < config.train_lr_init < math.inf, "more than 0"
    yield "train_lr_end", 0 <= config.train_lr_end <= config.train_lr_init, "0 to train_lr_init"
    yield "train_average_decay", 0 <= config.train_average_decay < 1, "0 to below 1"
    scales = config.train_input_scales
    are_shares = scales and all(0 < share <= 1 for share in scales)
    yield "train_input_scales", are_shares, "shares above 0 up to 1"
