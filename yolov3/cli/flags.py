"""Command-line flags of the scripts: one per field of `Config`, and kinds of values they share."""

import argparse
import dataclasses

from yolov3.configs import INPUT_SIZES, SIZE_MULTIPLE, Config, default_lr_end

GROUPS = ("data", "network", "transfer", "training", "augmentation", "detection")


def add_config_flags(parser: argparse.ArgumentParser) -> None:
    """Add a flag per field of `Config`, in groups.

    A flag that is not given leaves no trace in the result.
    """
    groups = {name: parser.add_argument_group(name) for name in GROUPS}
    for field in dataclasses.fields(Config):
        text = field.metadata["help"] + _default_text(field.default)
        flag = "--" + field.name.replace("_", "-")
        common = {"dest": field.name, "help": text, "default": argparse.SUPPRESS}
        groups[field.metadata["group"]].add_argument(flag, **common, **_kind(field))


def config_from_flags(args: argparse.Namespace, base: Config | None = None) -> Config:
    """Return `base` with the flags that were given, and with what defaults to a share of them.

    Raises ValueError for a value out of range.
    """
    given = {name: value for name, value in vars(args).items() if name in _FIELD_NAMES}
    given = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    if base is None:
        return Config(**given)
    if "train_lr_init" in given and base.train_lr_end == default_lr_end(base.train_lr_init):
        given.setdefault("train_lr_end", None)
    return dataclasses.replace(base, **given)


_FIELD_NAMES = frozenset(field.name for field in dataclasses.fields(Config))


def _kind(field) -> dict:
    """Return the argparse keywords for the type of a field."""
    default = field.default
    if isinstance(default, bool):
        return {"action": argparse.BooleanOptionalAction}
    if isinstance(default, tuple):
        return {"type": float, "nargs": "+", "metavar": "SHARE"}
    if "choices" in field.metadata:
        return {"choices": field.metadata["choices"]}
    kind = field.metadata.get("type", type(default))
    return {"type": kind, "metavar": {int: "N", float: "X", str: "PATH"}[kind]}


def _default_text(default):
    if default is None:  # the help says what it depends on
        return ""
    if isinstance(default, tuple):
        default = " ".join(str(value) for value in default)
    elif isinstance(default, bool):
        default = "yes" if default else "no"
    return f" (default: {'none' if default == '' else default})"


def add_detector_flags(
    parser: argparse.ArgumentParser, least_score: float | None = None, agnostic_nms: bool = False
) -> None:
    """Add the flags of a `Detector`: weights, thresholds and suppression, with these defaults."""
    parser.add_argument(
        "--weights",
        default=Config.train_checkpoints_folder,
        metavar="PATH",
        help="checkpoint, a folder of checkpoints or of runs, of which the best is taken, or a "
        "file of Darknet weights (default: %(default)s)",
    )
    default = "the checkpoint's" if least_score is None else least_score
    parser.add_argument(
        "--score-threshold",
        type=share,
        default=least_score,
        metavar="X",
        help=f"least score of a detection (default: {default})",
    )
    parser.add_argument(
        "--iou-threshold",
        type=share,
        metavar="X",
        help="IoU above which suppression drops the weaker of two boxes "
        "(default: the checkpoint's)",
    )
    parser.add_argument(
        "--agnostic-nms",
        action=argparse.BooleanOptionalAction,
        default=agnostic_nms,
        help="let a box be dropped for one of another class, too: one box per object "
        f"(default: {'yes' if agnostic_nms else 'no'})",
    )


def detector_settings(args: argparse.Namespace) -> dict:
    """Return what the flags of `add_detector_flags` say, as keywords of a `Detector`."""
    names = ("score_threshold", "iou_threshold", "agnostic_nms")
    return {"source": args.weights, **{name: getattr(args, name) for name in names}}


def share(text: str) -> float:
    """Parse a number from 0 to 1, for argparse."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected 0 to 1; received {text}")
    return value


def positive_int(text: str) -> int:
    """Parse a whole number of at least 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1; received {text}")
    return value


def input_size(text: str) -> int:
    """Parse an input size, a multiple of 32 pixels up to 4096, for argparse."""
    value = int(text)
    if value not in INPUT_SIZES:
        raise argparse.ArgumentTypeError(
            f"expected a multiple of {SIZE_MULTIPLE} up to {INPUT_SIZES[-1]}; received {text}"
        )
    return value


def canvas_size(text: str) -> tuple[int, int]:
    """Parse an input size as (height, width) from HEIGHTxWIDTH or from one number, for argparse."""
    height, x, width = text.lower().partition("x")
    return input_size(height), input_size(width if x else height)
