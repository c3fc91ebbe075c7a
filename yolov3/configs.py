"""The settings of a run: one frozen dataclass, plus the true constants of YOLOv3."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from yolov3.config_rules import requirements
from yolov3.data.typed_json import is_a

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
TINY_ANCHORS = (
    ((10, 14), (23, 27), (37, 58)),
    ((81, 82), (135, 169), (344, 319)),
)
# The official tiny weights decode their fine scale with anchors 1, 2, 3, though the cfg of today
# says 0, 1, 2.
TINY_ANCHORS_DARKNET = (
    ((23, 27), (37, 58), (81, 82)),
    ((81, 82), (135, 169), (344, 319)),
)
SIZE_MULTIPLE = 32  # the coarsest stride: input sizes are multiples of it
INPUT_SIZES = range(SIZE_MULTIPLE, 4096 + 1, SIZE_MULTIPLE)  # pixels; larger ones need 100 GB
TINY_ANCHOR_SETS = ("scratch", "darknet")
# What the tutorial's 1,000 scenes need; the shorter a run, the higher its rate: docs/recipe.md.
EPOCHS, TINY_EPOCHS = 6, 15
LEARNING_RATE, TINY_LEARNING_RATE = 1.5e-3, 1e-3
LEARNING_RATE_END = 1e-4  # no less: averaging the weights takes the place of the last decay
NETWORK_DEFAULTS = {  # defaults that depend on it: YOLOv3, YOLOv3-tiny
    "train_epochs": (EPOCHS, TINY_EPOCHS),
    "train_lr_init": (LEARNING_RATE, TINY_LEARNING_RATE),
}
TRANSFER_SCOPES = ("backbone", "all-but-heads", "all")
# What mAP is measured from: (almost) every detection. 0.3 would cut the precision-recall curve.
EVAL_SCORE_THRESHOLD = 0.001
BAD_LINES = ("error", "skip")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
REPO = Path(__file__).resolve().parents[1]


def setting(default, group: str, text: str, **extra):
    """Declare a setting: its default, the part of `--help` that shows it, and what it means."""
    return dataclasses.field(default=default, metadata={"group": group, "help": text, **extra})


@dataclass(frozen=True)
class Config:
    """Everything that decides how a run trains, validates and detects.

    The defaults train the MNIST tutorial. Every field is a flag of `train.py` (`train_epochs` is
    `--train-epochs`), and a copy stands in every checkpoint. Raises ValueError for a value of the
    wrong type or out of range.
    """

    train_classes: str = setting("mnist/mnist.names", "data", "class names, one per line")
    train_annot_path: str = setting("mnist/mnist_train.txt", "data", "annotations to train on")
    test_annot_path: str = setting(
        "mnist/mnist_test.txt", "data", "annotations to validate on; an empty path trains without"
    )
    bad_lines: str = setting(
        "error",
        "data",
        "bad lines of annotations: end with a report of them, or go on without them",
        choices=BAD_LINES,
    )
    train_logdir: str = setting(
        "log", "data", "each run writes its TensorBoard log to a folder in here"
    )
    train_checkpoints_folder: str = setting(
        "checkpoints", "data", "each run writes its checkpoints to a folder in here"
    )

    tiny: bool = setting(False, "network", "YOLOv3-tiny, in place of YOLOv3 with Darknet-53")
    tiny_anchors: str = setting(
        "scratch",
        "network",
        "anchors of YOLOv3-tiny; darknet: those of its official weights, for networks that "
        "started from them",
        choices=TINY_ANCHOR_SETS,
    )
    train_input_size: int = setting(
        416, "network", "input width and height in pixels, a multiple of 32", sizes=INPUT_SIZES
    )
    precision: str = setting(
        "auto",
        "network",
        "computing precision; auto: the fastest of this hardware",
        choices=PRECISIONS,
    )

    weights: str = setting(
        "",
        "transfer",
        "start from these: a checkpoint, a folder of them (the best is taken), or a file of "
        "Darknet weights",
    )
    transfer: str = setting(
        "all-but-heads", "transfer", "which layers of them to copy", choices=TRANSFER_SCOPES
    )
    freeze_epochs: int = setting(
        0, "transfer", "keep the backbone as it is for the first epochs, batch normalisation too"
    )

    train_epochs: int = setting(
        None,
        "training",
        f"passes over the data (default: {EPOCHS}, with --tiny {TINY_EPOCHS})",
        type=int,
    )
    train_batch_size: int = setting(4, "training", "images per step, over all devices")
    train_lr_init: float = setting(
        None,
        "training",
        "learning rate after the warm-up "
        f"(default: {LEARNING_RATE:g}, with --tiny {TINY_LEARNING_RATE:g})",
        type=float,
    )
    train_lr_end: float = setting(
        None,
        "training",
        "learning rate at the end of the cosine decay "
        f"(default: {LEARNING_RATE_END:g}, but at most a tenth of the first)",
        type=float,
    )
    train_warmup_epochs: float = setting(0.5, "training", "epochs of linear warm-up from zero")
    train_weight_decay: float = setting(0.0, "training", "decoupled (AdamW) decay of the kernels")
    train_average_decay: float = setting(
        0.99, "training", "moving average of the weights, which is what is kept; 0 is none"
    )
    train_input_scales: tuple[float, ...] = setting(
        (0.54, 0.77, 1.0),
        "training",
        "progressive input size: the epochs are split into as many equal parts, each at this share",
    )
    seed: int = setting(
        0, "training", "seed of the initial weights, the order and the augmentation"
    )

    augment_flip: float = setting(
        0.0, "augmentation", "probability of a mirror image; wrong for digits and text"
    )
    augment_crop: float = setting(
        0.0, "augmentation", "cut off up to this share of the margin around all boxes, on each side"
    )
    augment_scale: float = setting(0.0, "augmentation", "zoom out by up to this share")
    augment_translate: float = setting(
        0.0, "augmentation", "shift by up to this share of the image"
    )
    augment_color: float = setting(
        0.0, "augmentation", "brightness, contrast and saturation, +- share"
    )

    test_score_threshold: float = setting(
        0.3, "detection", "least score of a detection that is shown"
    )
    test_iou_threshold: float = setting(
        0.45, "detection", "IoU above which the weaker of two boxes of a class is suppressed"
    )

    def __post_init__(self):
        for name, (full, tiny) in NETWORK_DEFAULTS.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, tiny if self.tiny else full)
        if self.train_lr_end is None and is_a(self.train_lr_init, float):
            object.__setattr__(self, "train_lr_end", default_lr_end(self.train_lr_init))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not is_a(value, field.type):
                expected = getattr(field.type, "__name__", field.type)
                raise ValueError(f"{field.name}: expected {expected}; received {value!r:.80}")
        for name, holds, expected in requirements(self):
            if not holds:
                raise ValueError(f"{name}: expected {expected}; received {getattr(self, name)!r}")

    @property
    def anchors(self) -> tuple:
        """Anchors (S, A, 2), width and height in pixels, fine to coarse."""
        if not self.tiny:
            return ANCHORS
        return TINY_ANCHORS_DARKNET if self.tiny_anchors == "darknet" else TINY_ANCHORS

    @property
    def strides(self) -> tuple:
        """Strides (S,) in pixels of the input per cell, fine to coarse."""
        return TINY_STRIDES if self.tiny else STRIDES

    @property
    def network(self) -> str:
        return "yolov3-tiny" if self.tiny else "yolov3"


def default_lr_end(train_lr_init: float) -> float:
    """Return the learning rate at which one of `train_lr_init` ends unless told otherwise."""
    return min(LEARNING_RATE_END, train_lr_init / 10)


def changed_settings(before: Config, now: Config) -> list[str]:
    """Name the settings that differ."""
    names = [field.name for field in dataclasses.fields(Config)]
    return [name for name in names if getattr(before, name) != getattr(now, name)]
