"""Draw ground truth and detections of a test scene side by side.

    python docs/figures/detections.py
    python docs/figures/detections.py --weights checkpoints/my_run --annotations test.txt --line 7

It needs a trained checkpoint, unlike the other figures.
"""

from pathlib import Path

from yolov3.cli.flags import Parser, positive_int
from yolov3.cli.run import import_tensorflow, run_script

ROOT = Path(__file__).resolve().parents[2]
ENLARGE = 2  # small digits get legible labels
PANEL = 4.6  # inches


def parse_args(argv=None):
    parser = Parser(__doc__)
    parser.add_argument("--weights", default=str(ROOT / "checkpoints"), metavar="PATH")
    parser.add_argument(
        "--annotations", default=str(ROOT / "mnist" / "mnist_test.txt"), metavar="FILE"
    )
    parser.add_argument("--line", type=positive_int, default=1, metavar="N", help="which image")
    parser.add_argument("--output", default=str(Path(__file__).with_suffix(".png")), metavar="PNG")
    return parser.parse_args(argv)


def enlarged(image, boxes_xyxy, *labels):
    """Return the image (H, W, 3), enlarged, with its boxes (N, 4) drawn on it."""
    import cv2

    from yolov3.draw import draw_boxes

    image = cv2.resize(image, None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_CUBIC)
    return draw_boxes(image, boxes_xyxy * ENLARGE, *labels)


def side_by_side(panels: dict):
    """Return a figure of titled images, each in a thin frame."""
    from matplotlib.figure import Figure

    from yolov3.plots import GREY

    figure = Figure(figsize=(PANEL * len(panels), PANEL + 0.3))
    for axes, (title, image) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        axes.imshow(image, interpolation="antialiased")
        axes.set(title=title, xticks=[], yticks=[])
        axes.grid(False)
        axes.spines[:].set(visible=True, color=GREY, linewidth=1)
    return figure


def main(argv=None) -> int:
    args = parse_args(argv)
    import_tensorflow(frozen_weights=True)
    import matplotlib

    from yolov3.annotations import read_annotations
    from yolov3.detection import Detector
    from yolov3.images import read_image
    from yolov3.plots import STYLE, save_figure

    detector = Detector(args.weights)
    names = detector.class_names
    record = read_annotations(args.annotations, len(names))[args.line - 1]
    image = read_image(record.image_path)
    boxes_xyxy, scores, classes = detector(image)
    panels = {
        "ground truth": enlarged(image, record.boxes_xyxy, record.classes, names),
        "detections": enlarged(image, boxes_xyxy, classes, names, scores),
    }
    with matplotlib.rc_context(STYLE):
        save_figure(side_by_side(panels), args.output)
    print(f"{len(record.boxes_xyxy)} boxes, {len(boxes_xyxy)} detections; saved {args.output}")
    return 0


if __name__ == "__main__":
    run_script(main)
