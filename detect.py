"""Find objects in images, folders, videos, cameras and streams, and save what was found.

    python detect.py photo.jpg
    python detect.py images/ clip.mp4 'more/*.png' --json --txt --crops
    python detect.py 0 --show                             the first camera; q ends
    python detect.py rtsp://192.168.1.5/live --no-save --json
    python detect.py x.jpg --weights model_data/yolov3.weights --classes car,bus --input-size 608

Each run writes to a new folder in detections/. What cannot be read is named and skipped.
Exit codes: 0, 1 (nothing could be read, a stream broke off, or a file could not be written),
2 (bad input), 130 (Ctrl-C).
"""

import argparse
import signal

from yolov3.cli import flags
from yolov3.cli.run import import_tensorflow, run_script

MAX_DETECTIONS = 300  # of an image


def parse_args(argv=None) -> argparse.Namespace:
    parser = flags.Parser(__doc__)
    add = parser.add_argument
    sources = "image, video, folder (with all in it), 'pattern', number of a camera, or URL"
    add("sources", nargs="+", metavar="SOURCE", help=sources)
    flags.add_detector_flags(parser, size=flags.input_hw)
    add("--classes", metavar="CLASS,...", help="find only these")
    several = "each class of an object above the threshold, not only the best"
    add("--multi-label", action="store_true", help=several)
    best = "objects per frame, the best first (default: %(default)s)"
    number = {"type": flags.positive_int, "metavar": "N"}
    add("--max-detections", default=MAX_DETECTIONS, help=best, **number)
    frames = "frames at once (default: 4; 1 for cameras and streams)"
    add("--batch-size", help=frames, **number)
    again = "tries in a row to open a stream or camera that breaks off (default: 0)"
    add("--reconnect", type=flags.natural, default=0, metavar="N", help=again)
    output = parser.add_argument_group("output")
    folder = "new or empty folder to write to (default: a new one in detections)"
    output.add_argument("--output", metavar="DIR", help=folder)
    saved = "images and videos with boxes (default: yes)"
    yes_or_no = argparse.BooleanOptionalAction
    output.add_argument("--save", action=yes_or_no, default=True, help=saved)
    output.add_argument("--json", action="store_true", help="all detections in detections.json")
    output.add_argument("--txt", action="store_true", help="a label file in YOLO format per frame")
    output.add_argument("--crops", action="store_true", help="an image of each object")
    show = "show results in a window; q or Esc quits"
    output.add_argument("--show", action="store_true", help=show)
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    from yolov3.exported import needs_tensorflow
    from yolov3.files import require_empty
    from yolov3.inference.sources import find_sources
    from yolov3.inference.window import can_open_window

    sources = find_sources(args.sources)
    if args.output:
        require_empty(args.output)
    if args.show and not can_open_window():
        raise ValueError("--show: no window can be opened here")
    if needs_tensorflow(args.weights):
        import_tensorflow(frozen_weights=True)
    from yolov3.detection import Detector
    from yolov3.inference.outputs import OutputOptions
    from yolov3.inference.run import run_detection

    detector = Detector(
        **flags.detector_settings(args),
        classes=args.classes,
        multi_label=args.multi_label,
        max_detections=args.max_detections,
    )
    print(detector.description, detector.threshold_note, sep="\n", flush=True)
    options = OutputOptions(args.save, args.txt, args.crops, args.json, args.show, args.output)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # finishes videos as Ctrl-C does
    return run_detection(detector, sources, options, args.batch_size, args.reconnect)


if __name__ == "__main__":
    run_script(main)
