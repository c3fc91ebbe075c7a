"""Measure the mean average precision of a trained network, per class and over all.

    python evaluate_mAP.py
    python evaluate_mAP.py --weights checkpoints/my_run --annotations my_test.txt --report my_report

Each evaluation writes a report to a new folder in evaluations/: report.html has all in one page,
with curves, errors and images; the figures, tables and detections are beside it.

mAP50, mAP75 and mAP (the mean over IoU 0.50 to 0.95) are those of the COCO evaluation, by
pycocotools, over all detections above --score-threshold. Exit codes: 0, 1 (failed), 2 (bad input),
130 (Ctrl-C).
"""

import contextlib
from pathlib import Path

from yolov3.cli.flags import Parser, add_detector_flags, detector_settings, positive_int
from yolov3.cli.run import import_tensorflow, run_script
from yolov3.configs import BAD_LINES, EVAL_SCORE_THRESHOLD


def parse_args(argv=None):
    parser = Parser(__doc__)
    add_detector_flags(parser, EVAL_SCORE_THRESHOLD)
    images = "annotated images (default: the ones that the run was validated on)"
    bad = "bad lines of annotations: end with a report, or skip them (default: as the run did)"
    parser.add_argument("--annotations", metavar="FILE", help=images)
    parser.add_argument("--bad-lines", choices=BAD_LINES, help=bad)
    report = "new or empty folder for the report (default: a new one in evaluations)"
    one_of = parser.add_mutually_exclusive_group()
    one_of.add_argument("--report", metavar="DIR", help=report)
    one_of.add_argument("--no-report", action="store_true", help="write no report")
    at_once = "images at once (default: %(default)s)"
    parser.add_argument("--batch-size", type=positive_int, default=8, metavar="N", help=at_once)
    return parser.parse_args(argv)


def main(argv=None) -> int:
    args = parse_args(argv)
    from yolov3.exported import needs_tensorflow

    if needs_tensorflow(args.weights):
        import_tensorflow(frozen_weights=True)
    from yolov3.data.annotation_check import existing_file, load_records
    from yolov3.detection import Detector
    from yolov3.evaluation import evaluate, format_table, time_stages
    from yolov3.files import output_folder, require_empty
    from yolov3.text import counted

    if args.report:
        require_empty(args.report)
    detector = Detector(**detector_settings(args))
    checkpoint = detector.checkpoint  # Darknet weights do not say what they were trained for
    annotations = args.annotations or (checkpoint and checkpoint.config.test_annot_path)
    if not annotations:
        raise ValueError("these weights name no images to evaluate on; give --annotations FILE")
    annotations = existing_file(annotations)
    num_classes = len(detector.class_names)
    records = load_records(annotations, detector.config, num_classes, args.bad_lines)
    run = checkpoint.path.parent if checkpoint else Path(args.weights)
    print(f"{detector.description}; {counted(len(records), 'image')} of {annotations}", flush=True)
    about = {"run": str(run.resolve()), "annotations": str(annotations.resolve())}
    about["images_are"] = describe_images(detector, annotations, records)
    target = output_folder(args.report, "evaluations")
    with contextlib.nullcontext() if args.no_report else target as folder:
        result = evaluate(detector, records, args.batch_size)
        result.figures["milliseconds"] = time_stages(detector, result, args.batch_size)
        print(format_table(result.figures), flush=True)
        if folder:
            from yolov3.report.page import write_report

            print(f"report: {write_report(folder, result, about)}")
    return 0


def describe_images(detector, annotations, records) -> str | None:
    """Say what a reader of the figures must know of the images; return a key of `IMAGES_ARE`."""
    from yolov3.class_names import check_numbering
    from yolov3.data.annotation_check import fingerprint
    from yolov3.evaluation import IMAGES_ARE
    from yolov3.metrics import limit_note

    numbering = check_numbering(annotations, detector.class_names, detector.weights)
    notes = [numbering, limit_note(records)]
    checkpoint, which = detector.checkpoint, None
    if checkpoint:
        digest = fingerprint(records)
        same = [name for name in IMAGES_ARE if getattr(checkpoint, name, "") == digest]
        which = same[0] if same else "other"
        notes.append(IMAGES_ARE[which])
    if which == "other":
        notes.append(training_overlap(annotations, records, checkpoint.config))
    for note in filter(None, notes):
        print(note, flush=True)
    return which


def training_overlap(annotations, records, config) -> str:
    """Say how many images the run was trained on, or that its annotations are not here."""
    from yolov3.annotations import read_annotations
    from yolov3.data.annotation_check import describe_overlap, existing_file

    path = f"{config.train_annot_path}, which the run was trained on"
    try:
        trained = read_annotations(existing_file(config.train_annot_path), skip_bad=True)
    except ValueError:
        return f"note: {path}, is not here: these images may be among its"
    return describe_overlap(annotations, records, path, trained)


if __name__ == "__main__":
    run_script(main)
