"""One vocabulary of command-line flags, and a parser that answers a mistake in one line."""

import argparse
import contextlib
import dataclasses
import difflib
import re
import sys

from yolov3 import configs
from yolov3.configs import ANCHOR_PRESETS, INPUT_SIZES, RECIPES, Config
from yolov3.files import read_json
from yolov3.text import printable, require

SPELLED = {"True": "yes", "False": "no", "": "none"}  # defaults in the help
SWITCHES = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
GROUPS = {  # in the help, by the first setting of each
    "train_classes": "data",
    "tiny": "network",
    "weights": "transfer",
    "recipe": "training",
    "augment_flip": "augmentation",
    "test_score_threshold": "detection",
}
# Flags that users of other tools bring along, with ours of the same meaning: of several the first
# that the script has. A word without dashes is an argument that takes no flag.
OTHER_TOOLS = {
    "--epochs": "--train-epochs",
    "--batch": "--batch-size --train-batch-size",
    "--imgsz": "--input-size --train-input-size",
    "--img": "--input-size --train-input-size",
    "--lr": "--train-lr-init",
    "--lr0": "--train-lr-init",
    "--conf": "--score-threshold --test-score-threshold",
    "--iou": "--iou-threshold --test-iou-threshold",
    "--data": "--train-annot-path --annotations FILE",
    "--source": "SOURCE --image --annotations --train-annot-path FILE",
    "--model": "--weights",
    "--cfg": "--tiny --weights",
    "--names": "--train-classes",
    "--classes": "--train-classes --names",
    "--project": "--train-checkpoints-folder --output",
    "--name": "--output",
    "--json": "--report",
    "--save-txt": "--txt",
    "--save-crop": "--crops",
}
ADVICE = {
    "--data": "a data.yaml or COCO file is converted by tools/convert.py",
    "--cfg": "the networks are YOLOv3 and, with --tiny, YOLOv3-tiny",
    "--device": "CUDA_VISIBLE_DEVICES=1 chooses a GPU, CUDA_VISIBLE_DEVICES=-1 the CPU",
}


class Parser(argparse.ArgumentParser):
    """Parse the arguments of a script, whose docstring is the help.

    A mistake is one line on stderr and exit code 2. Flags are not abbreviated, and an unknown one
    is answered with ours.
    """

    def __init__(self, doc: str):
        as_written = argparse.RawDescriptionHelpFormatter
        super().__init__(description=doc, formatter_class=as_written, allow_abbrev=False)

    def parse_known_args(self, args=None, namespace=None):
        """Look for unknown flags first: without them other arguments may seem to be missing."""
        words = sys.argv[1:] if args is None else list(args)
        for word in words[: words.index("--")] if "--" in words else words:
            flag = word.partition("=")[0]
            if flag.startswith("--") and flag not in self._option_string_actions:
                self.error(f"{flag}: {self.answer(flag)}")
        return super().parse_known_args(words, namespace)

    def error(self, message: str):
        self.exit(2, f"{self.prog}: error: {printable(message.removeprefix('argument '))}\n")

    def answer(self, flag: str) -> str:
        """Say which flag or argument of this script is meant by an unknown flag."""
        flags = list(self._option_string_actions)
        places = [str(one.metavar or one.dest).upper() for one in self._get_positional_actions()]
        is_setting = flag[2:].replace("-", "_") in Config.__dataclass_fields__
        if is_setting and any(place.startswith("-- ") for place in places):
            return "flags of train.py stand behind --"
        ours = [name for name in OTHER_TOOLS.get(flag, "").split() if name in flags + places]
        advice = ADVICE.get(flag, "")
        ours = ours or ([] if advice else difflib.get_close_matches(flag, flags, n=1))
        if not ours:
            return advice or "there is no such flag; --help lists them"
        is_flag = ours[0] in flags
        answer = f"did you mean {ours[0]}?" if is_flag else f"give {ours[0]} without a flag"
        return f"{answer} ({advice})" if advice else answer


def _parser_of(kind, expected: str, holds=lambda value: True):
    """Return a function that parses an argument's text, for argparse's `type`."""

    def parse(text: str):
        with contextlib.suppress(ValueError):
            if holds(value := kind(text)):
                return value
        raise argparse.ArgumentTypeError(f"expected {expected}; received {text}")

    return parse


integer = _parser_of(int, "a whole number")
number = _parser_of(float, "a number")
positive_int = _parser_of(int, "a whole number of at least 1", lambda value: value >= 1)
natural = _parser_of(int, "a whole number of at least 0", lambda value: value >= 0)
port = _parser_of(int, "a whole number from 0 to 65535", range(2**16).__contains__)
fraction = _parser_of(float, "a number from 0 to 1", lambda value: 0 <= value <= 1)
_SIZES = f"of {INPUT_SIZES.step} up to {INPUT_SIZES[-1]}"
input_size = _parser_of(int, f"a multiple {_SIZES}", INPUT_SIZES.__contains__)


def _height_and_width(text: str) -> tuple[int, int]:
    height, x, width = text.lower().partition("x")
    return int(height), int(width if x else height)


_ONE_OR_TWO = f"one number or HEIGHTxWIDTH, multiples {_SIZES}"
input_hw = _parser_of(_height_and_width, _ONE_OR_TWO, set(INPUT_SIZES).issuperset)
run_name = _parser_of(
    str,
    "at most 60 letters, digits, dots, - and _, a letter or digit first, no name of a checkpoint",
    re.compile(r"(?!(best|last)-\d)[^\W_][\w.-]{0,59}").fullmatch,
)


def add_config_flags(parser: argparse.ArgumentParser, groups=None) -> None:
    """Add a flag for each field of `Config`, of these groups alone if given.

    What is parsed has no attribute for a flag that was not given.
    """
    sections = {x: parser.add_argument_group(x) for x in groups or GROUPS.values()}
    group = ""
    for field in dataclasses.fields(Config):
        group = GROUPS.get(field.name, group)
        if group in sections:
            flag = "--" + field.name.replace("_", "-")
            text = field.metadata["help"] + _defaults_text(field)
            common = {"dest": field.name, "help": text, "default": argparse.SUPPRESS}
            sections[group].add_argument(flag, **common, **_kind(field))


def settings_in(path: str, parser: Parser) -> dict:
    """Read the settings that a file holds by their names: YAML, or a checkpoint's config.json.

    Raises ValueError that names file and setting for an unknown one and for a wrong value.
    """
    from yolov3.class_names import read_yaml  # imports OpenCV

    settings = {}
    for key, text in read_yaml(path).items():
        field = Config.__dataclass_fields__.get(key.replace("-", "_"))
        try:
            if not field:
                flag = "--" + key
                is_flag = flag in parser._option_string_actions
                answer = f"give {flag} as a flag" if is_flag else parser.answer(flag)
                raise ValueError(f"{key}: no setting; {answer}")
            value = _from_text(field, text)
            settings[field.name] = read_anchors(value) if field.name == "anchors" else value
            configs.check(field, settings[field.name])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return settings


def _from_text(field, value):
    """Return the value of a setting that a file has as text, which it stays where it does not fit.

    `configs.check` refuses it then.
    """
    if isinstance(value, list):
        return tuple(_from_text(field, one) for one in value)
    if field.type is bool:
        return SWITCHES.get(str(value).lower(), value)
    if field.type is not str and isinstance(value, str):
        with contextlib.suppress(ValueError):
            is_whole = value.isdecimal() and field.type is not float
            return int(value) if is_whole else float(value)
    return value


def config_from_flags(args: argparse.Namespace, base: Config | None = None) -> Config:
    """Return `base` with the flags that were given, and the defaults that follow from them.

    Raises ValueError for a value out of range.
    """
    flags = vars(args).items()
    fields = Config.__dataclass_fields__
    given = {name: configs.as_tuples(value) for name, value in flags if name in fields}
    if "anchors" in given:
        given["anchors"] = read_anchors(given["anchors"])
    if base is None:
        return Config(**given)
    if "train_lr_init" in given and base.train_lr_end == configs.default_lr_end(base.train_lr_init):
        given.setdefault("train_lr_end", None)
    return dataclasses.replace(base, **given)


def read_anchors(source) -> tuple:
    """Return anchors (S, A, 2), fine to coarse, of a preset or of a file of `tools/anchors.py`.

    The file is JSON, {"anchors": [[[width, height], ...], ...]} in pixels. Raises ValueError.
    """
    if isinstance(source, tuple):  # read already
        return source
    if source in ANCHOR_PRESETS:
        return ANCHOR_PRESETS[source]
    try:
        anchors = configs.as_tuples(read_json(source).get("anchors"))
    except ValueError as error:
        expected = f"one of {', '.join(ANCHOR_PRESETS)}, or a file of tools/anchors.py"
        raise ValueError(f"anchors: expected {expected}; received {error}") from None
    fit = any(configs.fit_network(anchors, len(preset)) for preset in ANCHOR_PRESETS.values())
    require(fit, source, "anchors as tools/anchors.py writes them", anchors)
    return anchors


def _kind(field) -> dict:
    """Return the argparse keywords for the type of a field."""
    if field.type is bool:
        return {"action": argparse.BooleanOptionalAction}
    if choices := field.metadata["choices"]:
        return {"choices": choices}
    if field.type == tuple[float, ...]:
        return {"type": number, "nargs": "+", "metavar": "X"}
    numbers = {int: (integer, "N"), float: (number, "X")}
    parse, metavar = numbers.get(field.type, (str, "PATH"))
    return {"type": parse, "metavar": metavar}


def _defaults_text(field) -> str:
    """Say what a setting is by default, for each network and recipe where these differ."""
    texts = {}
    for recipe in RECIPES:
        full, tiny = (spelled(configs.default_of(field, recipe, x)) for x in (False, True))
        texts[recipe] = full if full == tiny else f"{full}, with --tiny {tiny}"
    default = texts.pop("digits")
    others = [f"; --recipe {name}: {text}" for name, text in texts.items() if text != default]
    text = f" (default: {default}{''.join(others)})"
    return "" if default == "None" else text  # then the help says what it depends on


def spelled(default) -> str:
    text = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
    return SPELLED.get(text, text)


def add_data_flags(parser: argparse.ArgumentParser, names: bool = True, size: bool = True) -> None:
    """Add an annotation file, its class `names`, and the input `size` of the network it is for."""
    parser.add_argument("file", help="annotation file, 'image_path xmin,ymin,xmax,ymax,label ...'")
    if names:
        help_text = "class names, one per line"
        parser.add_argument("--names", required=True, metavar="FILE", help=help_text)
    if size:
        kind = {"dest": "train_input_size", "type": input_size, "default": Config.train_input_size}
        text = "input width and height of the network (default: %(default)s)"
        parser.add_argument("--input-size", metavar="PX", help=text, **kind)


def add_detector_flags(parser, score_threshold=None, agnostic_nms=False, size=input_size) -> None:
    """Add the flags of a `Detector`, with these defaults; `size` parses that of --input-size."""

    def add(flag, text, metavar=None, **kind):
        parser.add_argument(flag, help=text, metavar=metavar, **kind)

    weights = "checkpoint, run, folder of runs (best of the newest), Darknet weights, or export"
    names = "class names, one per line (default: the checkpoint's; COCO's for 80 Darknet classes)"
    presets = ", ".join(ANCHOR_PRESETS)
    anchors = f"anchors of Darknet weights: {presets} or a file (default: the official ones)"
    or_hw = ", or HEIGHTxWIDTH" if size is input_hw else ""
    size_default = "(default: the checkpoint's; 416 for Darknet weights)"
    sides = f"input width and height{or_hw}, multiples of {INPUT_SIZES.step} {size_default}"
    score = f"lowest score of a detection (default: {score_threshold or 'that of the weights'})"
    iou = "IoU above which NMS drops the weaker of two boxes (default: the checkpoint's)"
    agnostic = f"class-agnostic NMS: one box per object (default: {spelled(agnostic_nms)})"
    add("--weights", weights, "PATH", default=Config.train_checkpoints_folder)
    add("--names", names, "FILE")
    add("--anchors", anchors, "FILE|PRESET")
    add("--input-size", sides, "PX", type=size)
    add("--score-threshold", score, "X", type=fraction, default=score_threshold)
    add("--iou-threshold", iou, "X", type=fraction)
    if agnostic_nms is not None:
        add("--agnostic-nms", agnostic, action=argparse.BooleanOptionalAction, default=agnostic_nms)


def detector_settings(args: argparse.Namespace) -> dict:
    """Return what the flags of `add_detector_flags` say, as keywords of a `Detector`."""
    names = ("names", "input_size", "score_threshold", "iou_threshold", "agnostic_nms")
    anchors = args.anchors and read_anchors(args.anchors)
    settings = {name: getattr(args, name) for name in names if name in args}
    return {"source": args.weights, "anchors": anchors, **settings}
