"""The settings of a run: one frozen dataclass, its rules, recipes and JSON; YOLOv3's constants."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from yolov3.files import is_a, read_json
from yolov3.text import require

STRIDES = (8, 16, 32)  # pixels of the input per cell, fine to coarse
TINY_STRIDES = (16, 32)
ANCHORS_PER_SCALE = 3
# Width and height in pixels, per scale, fine to coarse: darknet's yolov3.cfg, yolov3-tiny.cfg.
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
SHOWN_SCORE_THRESHOLD = 0.3  # where no validation has found the best one
BAD_LINES = ("error", "skip")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
REPO = Path(__file__).resolve().parents[1]
RECIPES = (
    "digits",  # what the tutorial's 1,000 scenes need: docs/recipe.md
    "images",  # some hundred photographs, from trained weights or from scratch
)
# What settings are unless given, by recipe: of YOLOv3 and of YOLOv3-tiny.
OF_RECIPE = {
    "train_epochs": {"digits": (7, 15), "images": (60, 60)},
    "train_lr_init": {"digits": (1.5e-3, 1e-3), "images": (1.5e-3, 1.5e-3)},
    "train_input_scales": {
        "digits": ((0.46, 0.46, 0.46, 0.77, 0.77, 1.0, 1.0), (0.54, 0.77, 1.0)),
        "images": ((0.54, 0.77, 1.0), (0.54, 0.77, 1.0)),
    },
    "augment_flip": {"digits": (0.0, 0.0), "images": (0.5, 0.5)},
    "augment_scale": {"digits": (0.0, 0.0), "images": (0.5, 0.5)},
    "augment_translate": {"digits": (0.0, 0.0), "images": (0.1, 0.1)},
    "augment_hue": {"digits": (0.0, 0.0), "images": (0.015, 0.015)},
    "augment_saturation": {"digits": (0.0, 0.0), "images": (0.7, 0.7)},
    "augment_value": {"digits": (0.0, 0.0), "images": (0.25, 0.25)},
    "augment_mosaic": {"digits": (1.0, 1.0), "images": (1.0, 0.5)},
    "augment_min_area": {"digits": (0.5, 0.5), "images": (0.3, 0.3)},
    "augment_close": {"digits": (0.33, 0.33), "images": (0.15, 0.15)},
}

SPELLED = {bool: "yes or no", tuple[float, ...]: "a list of numbers"}  # types, in messages


class Rule(NamedTuple):
    """What a setting must fulfil beyond its type."""

    expected: str
    holds: Callable

    def check(self, name: str, value):
        """Return a value. Raises ValueError, naming what it is, if the rule does not hold."""
        require(self.holds(value), name, self.expected, value)
        return value


AT_LEAST_0 = Rule("at least 0", lambda value: 0 <= value < math.inf)
AT_LEAST_1 = Rule("at least 1", lambda value: 1 <= value < math.inf)
ABOVE_0 = Rule("more than 0", lambda value: 0 < value < math.inf)
FRACTION = Rule("0 to 1", lambda value: 0 <= value <= 1)
PART = Rule("more than 0, up to 1", lambda value: 0 < value <= 1)
ZOOM = Rule("0 to 3", lambda value: 0 <= value <= 3)  # beyond, a photograph takes gigabytes
BELOW_1 = Rule("0 to below 1", lambda value: 0 <= value < 1)
FRACTIONS = Rule("fractions above 0 up to 1", lambda xs: xs and all(0 < x <= 1 for x in xs))
MULTIPLES = Rule("numbers above 0 up to 2", lambda xs: xs and all(0 < x <= 2 for x in xs))
SEED = Rule("0 to 4294967295", range(2**32).__contains__)  # what NumPy takes
INPUT_SIZE = Rule(
    f"a positive multiple of {SIZE_MULTIPLE} up to {INPUT_SIZES[-1]}", INPUT_SIZES.__contains__
)
A_FILE = Rule("the path of a file", bool)


def setting(default, text: str, rule: Rule | None = None, choices=None):
    """Declare a setting: default, text in `--help`, and what it must fulfil.

    The default None stands for one that depends on the recipe or on other settings.
    """
    if choices:
        rule = Rule(f"one of {', '.join(choices)}", choices.__contains__)
    metadata = {"help": text, "rule": rule, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides how a run trains, validates and detects.

    The defaults train the MNIST tutorial. Every field is a flag of `train.py` (`train_epochs` is
    `--train-epochs`), and a copy stands in every checkpoint. Raises ValueError for a value of the
    wrong type or out of range.
    """

    # data
    train_classes: str = setting("mnist/mnist.names", "file of class names, one per line", A_FILE)
    train_annot_path: str = setting("mnist/mnist_train.txt", "annotations to train on", A_FILE)
    test_annot_path: str = setting("mnist/mnist_test.txt", "those to validate on; '' for none")
    bad_lines: str = setting("error", "bad lines: end with a list, or skip them", choices=BAD_LINES)
    train_logdir: str = setting("log", "folder of the TensorBoard logs of all runs")
    train_checkpoints_folder: str = setting("checkpoints", "folder of the checkpoints of all runs")

    # network
    tiny: bool = setting(False, "train YOLOv3-tiny instead of YOLOv3")
    anchors: tuple[tuple[tuple[float, ...], ...], ...] = setting(
        None, f"a file of tools/anchors.py, or {', '.join(ANCHOR_PRESETS)} (default: the network's)"
    )
    train_input_size: int = setting(416, "sides of the input, multiples of 32 px", INPUT_SIZE)
    precision: str = setting("auto", "number format; auto: the fastest here", choices=PRECISIONS)

    # transfer
    weights: str = setting("", "initial weights: a checkpoint, folder of some, or Darknet file")
    transfer: str = setting("all-but-heads", "layers that --weights gives", choices=TRANSFER_SCOPES)
    freeze_epochs: int = setting(0, "first epochs, with a frozen backbone", AT_LEAST_0)

    # training
    recipe: str = setting("digits", "what settings are unless given", choices=RECIPES)
    train_epochs: float = setting(None, "passes over the images", ABOVE_0)
    max_minutes: float = setting(0, "time in which all must be done (0: no limit)", AT_LEAST_0)
    patience: int = setting(0, "epochs without a better mAP until the end (0: never)", AT_LEAST_0)
    train_batch_size: int = setting(4, "images per step, over all devices", AT_LEAST_1)
    train_lr_init: float = setting(None, "peak learning rate", ABOVE_0)
    train_lr_end: float = setting(
        None, f"last rate (default: {LEARNING_RATE_END:g}, or peak / 10)", AT_LEAST_0
    )
    train_warmup_epochs: float = setting(0.5, "epochs of linear warm-up from zero", AT_LEAST_0)
    train_weight_decay: float = setting(0.0, "AdamW's decay of kernels", AT_LEAST_0)
    train_average_decay: float = setting(0.99, "EMA decay of the weights (0: no EMA)", BELOW_1)
    train_input_scales: tuple[float, ...] = setting(None, "sizes in turn, as fractions", FRACTIONS)
    seed: int = setting(0, "seed of initial weights, image order and augmentation", SEED)

    # augmentation
    augment_flip: float = setting(None, "probability to mirror; not for digits and text", FRACTION)
    augment_scale: float = setting(None, "zoom: 0.5 is up to 1.5 times, in or out", ZOOM)
    augment_translate: float = setting(None, "shift by up to this fraction of the image", FRACTION)
    augment_rotate: float = setting(0.0, "turn by up to so many degrees", AT_LEAST_0)
    augment_hue: float = setting(None, "turn of the colours, up to this fraction", FRACTION)
    augment_saturation: float = setting(None, "change of saturation, up to this fraction", FRACTION)
    augment_value: float = setting(None, "change of brightness, up to this fraction", FRACTION)
    augment_contrast: float = setting(0.0, "change of contrast, up to this fraction", FRACTION)
    augment_mosaic: float = setting(None, "probability of windows of four images in one", FRACTION)
    augment_mixup: float = setting(0.0, "probability of two images in one, blended", FRACTION)
    augment_min_area: float = setting(None, "fraction of a box in view to keep it", PART)
    augment_close: float = setting(None, "last fraction, without mosaic and mixup", FRACTION)
    augment_sizes: tuple[float, ...] = setting((1.0,), "random sizes, as fractions", MULTIPLES)

    # detection
    test_score_threshold: float = setting(0.0, "lowest score (0: the validation's best)", FRACTION)
    test_iou_threshold: float = setting(0.45, "IoU above which NMS drops a box", FRACTION)

    def __post_init__(self):
        object.__setattr__(self, "anchors", _preset_or_tuples(self.anchors))
        for field in dataclasses.fields(self):  # what others follow from comes before them
            if field.default is None and getattr(self, field.name) is None:
                object.__setattr__(self, field.name, self._default(field))
            check(field, getattr(self, field.name))
        if float(self.train_epochs).is_integer():  # 6 shall not be shown as 6.0
            object.__setattr__(self, "train_epochs", int(self.train_epochs))
        has_fallen = self.train_lr_end <= self.train_lr_init
        require(has_fallen, "train_lr_end", "0 to train_lr_init", self.train_lr_end)
        scales = len(self.strides)
        sizes = f"{scales} scales of {ANCHORS_PER_SCALE} widths and heights above 0"
        expected = f"for {self.network} {sizes}"
        require(fit_network(self.anchors, scales), "anchors", expected, self.anchors)

    def _default(self, field):
        if field.name == "anchors":
            return ANCHOR_PRESETS[self.network]
        if field.name == "train_lr_end":
            return default_lr_end(self.train_lr_init)
        if field.name == "augment_close" and self.train_input_scales[-1] < 1:
            return 0.0  # mosaics alone show objects as large as they are in the full input
        return default_of(field, self.recipe, self.tiny)

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
            if unknown := set(values) - {field.name for field in dataclasses.fields(cls)}:
                raise ValueError(f"unknown settings {sorted(unknown)}")
            return cls(**{name: as_tuples(value) for name, value in values.items()})
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def default_of(field: dataclasses.Field, recipe: str, tiny: bool):
    """Return what a setting is unless given."""
    return OF_RECIPE[field.name][recipe][tiny] if field.name in OF_RECIPE else field.default


def default_lr_end(train_lr_init: float) -> float:
    """Return the learning rate at which one of `train_lr_init` ends unless told otherwise."""
    return min(LEARNING_RATE_END, train_lr_init / 10)


def shown_threshold(metrics: dict[str, float], chosen: float = 0.0) -> float:
    """Return the score threshold at which detections are shown.

    It is the chosen one; where that is 0 the best one, as `metrics.best_point` has it among the
    figures; and where no validation has found one, `SHOWN_SCORE_THRESHOLD`.
    """
    best = metrics.get("best_threshold", math.nan)
    return chosen or (SHOWN_SCORE_THRESHOLD if math.isnan(best) else best)


def check(field: dataclasses.Field, value) -> None:
    """Raise ValueError unless a setting may have this value."""
    kind, rule = field.type, field.metadata["rule"]
    require(is_a(value, kind), field.name, SPELLED.get(kind) or kind.__name__, value)
    if rule:
        rule.check(field.name, value)


def changed_settings(before: Config, now: Config) -> list[str]:
    """Name the settings that differ."""
    return [name for name, value in vars(now).items() if value != getattr(before, name)]


def _preset_or_tuples(anchors):
    if not isinstance(anchors, str):
        return as_tuples(anchors)
    require(anchors in ANCHOR_PRESETS, "anchors", f"one of {', '.join(ANCHOR_PRESETS)}", anchors)
    return ANCHOR_PRESETS[anchors]


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
