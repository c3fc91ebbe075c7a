"""Find the digits in a test scene, say what was found, and save the image with boxes.

    python detect_mnist.py
    python detect_mnist.py --count 4 --seed 1 --output detections
    python detect_mnist.py --image my_scene.png --weights checkpoints/my_run

The scene is --image, or else a random one of --annotations, by default the test annotations of the
run. A window opens where there is a screen. Exit codes: 0, 1 (nothing found, or an image not
saved), 2 (bad input), 130 (Ctrl-C).
"""

import sys

from yolov3.cli.flags import Parser, add_detector_flags, detector_settings, integer, positive_int
from yolov3.cli.run import import_tensorflow, run_script


def parse_args(argv=None):
    parser = Parser(__doc__)
    add_detector_flags(parser, agnostic_nms=True)
    parser.add_argument("--image", metavar="FILE", help="image to look at (default: a test scene)")
    annotations = "whose images to choose from (default: the ones that the run was validated on)"
    parser.add_argument("--annotations", metavar="FILE", help=annotations)
    scenes = "number of scenes (default: 1)"
    parser.add_argument("--count", type=positive_int, default=1, metavar="N", help=scenes)
    seed = "seed of the choice (default: random)"
    parser.add_argument("--seed", type=integer, metavar="K", help=seed)
    output = "image to save, or folder for several (default: %(default)s)"
    parser.add_argument("--output", default="detections", metavar="PATH", help=output)
    parser.add_argument("--no-show", action="store_true", help="open no window")
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    from yolov3.exported import needs_tensorflow

    if needs_tensorflow(args.weights):
        import_tensorflow(frozen_weights=True)
    from yolov3.detection import Detector
    from yolov3.images import write_image
    from yolov3.inference.scenes import choose_scenes, detect_and_draw, output_paths
    from yolov3.inference.window import can_open_window, open_window

    detector = Detector(**detector_settings(args))
    print(detector.description, detector.threshold_note, sep="\n", flush=True)
    if args.image:
        images = [args.image]
    else:
        images = choose_scenes(detector, args.count, args.seed, args.annotations)
    show = not args.no_show and can_open_window()
    found, unsaved = 0, 0
    for image_path, output in zip(images, output_paths(args.output, images), strict=True):
        count, drawn = detect_and_draw(detector, image_path, output)
        found += count
        try:
            write_image(output, drawn)
            print(f"  saved {output}")
        except OSError as error:
            print(f"not saved: {error}", file=sys.stderr)
            unsaved += 1
        if show:
            show = open_window(drawn, image_path)  # until q
    return 0 if found and not unsaved else 1


if __name__ == "__main__":
    run_script(main)
