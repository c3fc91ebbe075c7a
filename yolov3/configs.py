"""The settings of a run: one frozen dataclass, its rules and its JSON; YOLOv3's constants."""

import dataclasses
import json
from pathlib import Path

from yolov3.files import is_a, read_json
from yolov3.settings import (
    A_FILE,
    ABOVE_0,
    AT_LEAST_0,
    AT_LEAST_1,
    BELOW_1,
    FRACTION,
    FRACTIONS,
    MULTIPLES,
    PART,
    RECIPES,
    Default,
    Rule,
    check,
    default_of,
    marked,
    refuse,
    setting,
)

STRIDES = (8, 16, 32)  # pixels of the input per cell, fine to coarse
TINY_STRIDES = (16, 32)
ANCHORS_PER_SCALE = 3
# Width and height in pixels, per scale, fine to coarse: darknet's cfg/yolov3.cfg and
# cfg/yolov3-tiny.cfg.
ANCHORS = (
    ((10, 13), (16, 30), (33, 23)),
    ((30, 61), (62, 45), (59, 119)),
    ((116, 90), (156, 198), (373, 326)),
)
TINY_ANCHORS = (((10, 14), (23, 27), (37, 58)), ((81, 82), (135, 169), (344, 319)))
# The official tiny weights decode the fine scale with anchors 1, 2, 3; today's cfg says 0, 1, 2.
TINY_ANCHORS_DARKNET = (((23, 27), (37, 58), (81, 82)), TINY_ANCHORS[1])
ANCHOR_PRESETS = {
    "yolov3": ANCHORS,
    "yolov3-tiny": TINY_ANCHORS,
    "yolov3-tiny-darknet": TINY_ANCHORS_DARKNET,
}
SIZE_MULTIPLE = 32  # the coarsest stride: input sizes are multiples of it
INPUT_SIZES = range(SIZE_MULTIPLE, 4096 + 1, SIZE_MULTIPLE)  # pixels; larger ones need 100 GB
LEARNING_RATE_END = 1e-4  # no less: averaging the weights takes the place of the last decay
TRANSFER_SCOPES = ("backbone", "all-but-heads", "all")
# What mAP is measured from: (almost) every detection. 0.3 would cut the precision-recall curve.
EVAL_SCORE_THRESHOLD = 0.001
BAD_LINES = ("error", "skip")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
MAX_SEED = 2**32 - 1  # of NumPy
REPO = Path(__file__).resolve().parents[1]


SEED = Rule(f"0 to {MAX_SEED}", lambda value: 0 <= value <= MAX_SEED)
INPUT_SIZE = Rule(
    f"a positive multiple of {SIZE_MULTIPLE} up to {INPUT_SIZES[-1]}", INPUT_SIZES.__contains__
)


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides how a run trains, validates and detects.

    The defaults train the MNIST tutorial. Every field is a flag of `train.py` (`train_epochs` is
    `--train-epochs`), and a copy stands in every checkpoint. Raises ValueError for a value of the
    wrong type or out of range.
    """

    # data
    train_classes: str = setting("mnist/mnist.names", "file of class names, one per line", A_FILE)
    train_annot_path: str = setting(
        "mnist/mnist_train.txt", "annotation file of the training images", A_FILE
    )
    test_annot_path: str = setting(
        "mnist/mnist_test.txt", "annotation file of the validation images; '' for none"
    )
    bad_lines: str = setting(
        "error", "bad annotation lines: end with a report, or skip them", choices=BAD_LINES
    )
    train_logdir: str = setting("log", "folder of the TensorBoard logs of all runs")
    train_checkpoints_folder: str = setting("checkpoints", "folder of the checkpoints of all runs")

    # network
    tiny: bool = setting(False, "train YOLOv3-tiny instead of YOLOv3")
    anchors: tuple[tuple[tuple[float, ...], ...], ...] = setting(
        None, f"a file of tools/anchors.py, or {', '.join(ANCHOR_PRESETS)} (default: the network's)"
    )
    train_input_size: int = setting(
        416, "input width and height in pixels, a multiple of 32", INPUT_SIZE
    )
    precision: str = setting(
        "auto", "number format; auto is the fastest of this machine", choices=PRECISIONS
    )

    # transfer
    weights: str = setting(
        "", "initial weights: a checkpoint, the best of a folder, or Darknet weights"
    )
    transfer: str = setting(
        "all-but-heads", "layers that take their values from --weights", choices=TRANSFER_SCOPES
    )
    freeze_epochs: int = setting(
        0, "first epochs, in which the backbone with its batch normalisation is frozen", AT_LEAST_0
    )

    # training
    recipe: str = setting("digits", "what settings are unless given", choices=tuple(RECIPES))
    train_epochs: float = setting(None, "passes over the images", ABOVE_0)
    max_minutes: float = setting(
        0, "end in so many minutes: chooses epochs, sizes and warm-up (0: no limit)", AT_LEAST_0
    )
    patience: int = setting(
        0, "end after so many epochs without a better validation mAP (0: never)", AT_LEAST_0
    )
    train_batch_size: int = setting(4, "images per step, over all devices", AT_LEAST_1)
    train_lr_init: float = setting(None, "peak learning rate", ABOVE_0)
    train_lr_end: float = setting(
        None, f"last rate (default: {LEARNING_RATE_END:g}, at most a tenth of the peak)", AT_LEAST_0
    )
    train_warmup_epochs: float = setting(0.5, "epochs of linear warm-up from zero", AT_LEAST_0)
    train_weight_decay: float = setting(
        0.0, "AdamW's weight decay of the convolution kernels", AT_LEAST_0
    )
    train_average_decay: float = setting(
        0.99,
        "EMA decay of the weights; the EMA is what is saved and evaluated (0 turns it off)",
        BELOW_1,
    )
    train_input_scales: tuple[float, ...] = setting(
        (0.54, 0.77, 1.0),
        "progressive resizing: fractions of the input size, one per equal part of the epochs",
        FRACTIONS,
    )
    seed: int = setting(0, "seed of initial weights, image order and augmentation", SEED)

    # augmentation
    augment_flip: float = setting(
        0.0, "probability of a mirror image; wrong for digits and text", FRACTION
    )
    augment_scale: float = setting(
        0.0, "zoom in or out: 0.5 makes objects up to 1.5 times larger or smaller", AT_LEAST_0
    )
    augment_translate: float = setting(0.0, "shift by up to this fraction of the image", FRACTION)
    augment_rotate: float = setting(0.0, "turn by up to so many degrees", AT_LEAST_0)
    augment_hue: float = setting(
        0.0, "turn colours by up to this fraction of their circle", FRACTION
    )
    augment_saturation: float = setting(0.0, "change of saturation, up to this fraction", FRACTION)
    augment_value: float = setting(0.0, "change of brightness, up to this fraction", FRACTION)
    augment_contrast: float = setting(0.0, "change of contrast, up to this fraction", FRACTION)
    augment_mosaic: float = setting(
        0.0, "probability of windows of four images in one, as large as in detection", FRACTION
    )
    augment_mixup: float = setting(0.0, "probability of two images in one, blended", FRACTION)
    augment_min_area: float = setting(
        0.5, "keep a box of which at least this fraction is in view; 1: only whole ones", PART
    )
    augment_close: float = setting(
        0.33, "last fraction of the epochs, without mosaic and mixup", FRACTION
    )
    augment_sizes: tuple[float, ...] = setting(
        (1.0,), "fractions of the input size, one of which each batch has at random", MULTIPLES
    )

    # detection
    test_score_threshold: float = setting(
        0.3, "lowest score that is shown (if not given, the validation's best)", FRACTION
    )
    test_iou_threshold: float = setting(
        0.45, "IoU above which NMS drops the weaker of two boxes of a class", FRACTION
    )

    def __post_init__(self):
        object.__setattr__(self, "anchors", _preset_or_tuples(self.anchors))
        self._set_defaults()
        for field in dataclasses.fields(self):
            check(field, getattr(self, field.name))
        if self.train_lr_end > self.train_lr_init:
            refuse("train_lr_end", "0 to train_lr_init", self.train_lr_end)
        if not fit_network(self.anchors, scales := len(self.strides)):
            sizes = f"{scales} scales of {ANCHORS_PER_SCALE} widths and heights above 0"
            refuse("anchors", f"for {self.network} {sizes}", self.anchors)

    def _set_defaults(self):
        """Give what was left open its value of this network and recipe, and mark it as such."""
        for field in dataclasses.fields(self):
            if field.default is None or isinstance(field.default, Default):
                self._set_default(field.name, default_of(field, self.recipe, self.tiny))
        self._set_default("anchors", TINY_ANCHORS if self.tiny else ANCHORS)
        if is_a(self.train_lr_init, float):
            self._set_default("train_lr_end", default_lr_end(self.train_lr_init))

    def _set_default(self, name, value):
        now = getattr(self, name)
        if isinstance(now, Default) or now is None:
            object.__setattr__(self, name, marked(value))

    @property
    def strides(self) -> tuple:
        """Strides (S,) in pixels of the input per cell, fine to coarse."""
        return TINY_STRIDES if self.tiny else STRIDES

    @property
    def network(self) -> str:
        """Name of the network: yolov3 or yolov3-tiny."""
        return "yolov3-tiny" if self.tiny else "yolov3"

    def to_json(self) -> str:
        """Return the configuration as JSON, a setting to a line."""
        lines = [f'  "{k}": {json.dumps(v)}' for k, v in dataclasses.asdict(self).items()]
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, path) -> "Config":
        """Read what `to_json` returned. Raises ValueError that names the file otherwise."""
        try:
            values = read_json(path)
            if "anchors" not in values:
                raise ValueError("written by a version that did not store anchors; train again")
            if unknown := set(values) - {field.name for field in dataclasses.fields(cls)}:
                raise ValueError(f"unknown settings {sorted(unknown)}")
            return cls(**{name: as_tuples(value) for name, value in values.items()})
        except (OSError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None


def default_lr_end(train_lr_init: float) -> float:
    """Return the learning rate at which one of `train_lr_init` ends unless told otherwise."""
    return min(LEARNING_RATE_END, train_lr_init / 10)


def changed_settings(before: Config, now: Config) -> list[str]:
    """Name the settings that differ."""
    names = [field.name for field in dataclasses.fields(Config)]
    return [name for name in names if getattr(before, name) != getattr(now, name)]


def _preset_or_tuples(anchors):
    if isinstance(anchors, str) and anchors not in ANCHOR_PRESETS:
        refuse("anchors", f"one of {', '.join(ANCHOR_PRESETS)}", anchors)
    if isinstance(anchors, str):
        return ANCHOR_PRESETS[anchors]
    return anchors if isinstance(anchors, Default) else as_tuples(anchors)


def as_tuples(value):
    """Turn lists into tuples, at any depth."""
    return tuple(map(as_tuples, value)) if isinstance(value, list | tuple) else value


def fit_network(anchors, scales: int) -> bool:
    """Tell whether these are anchors (S, A, 2) above 0 of a network with so many scales."""
    if not is_a(anchors, Config.__annotations__["anchors"]):
        return False
    shape = [[len(size) for size in scale] for scale in anchors]
    sides = [side for scale in anchors for size in scale for side in size]
    return shape == [[2] * ANCHORS_PER_SCALE] * scales and all(map(ABOVE_0.holds, sides))
