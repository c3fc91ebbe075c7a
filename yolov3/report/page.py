"""The report of an evaluation: a page that holds everything, and its parts as files."""

import base64
import csv
import io
import json
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from yolov3.draw import draw_comparison
from yolov3.evaluation import DETECTOR_SETTINGS, IMAGES_ARE, Evaluation, class_rows
from yolov3.files import write_whole
from yolov3.formats.coco import format_coco
from yolov3.formats.data_set import AnnotatedImage, DataSet
from yolov3.images import write_image
from yolov3.metrics import SANE, SCORES
from yolov3.nms import to_ltwh
from yolov3.plots import save_figure
from yolov3.report.errors import KINDS, Errors, find_errors
from yolov3.report.figures import draw_figures
from yolov3.text import counted, printable

PAGE = "report.html"  # beside this file: the template
SHOWN = 8  # images of each choice
DPI = 110
DECIMALS = 3  # of a pixel
COLUMNS = {"images": "images", "boxes": "boxes", "P": "precision", "R": "recall", "F1": "F1"}
COLUMNS |= {"mAP50": "AP50", "mAP75": "AP75", "mAP": "AP", "best threshold": "best_threshold"}
COLUMNS |= {"P there": "best_precision", "R there": "best_recall", "F1 there": "best_F1"}


def write_report(folder: Path, evaluation: Evaluation, about: dict) -> Path:
    """Write the report of an evaluation into a folder; return its page. Raises OSError.

    `about` names what was evaluated, for the JSON and the settings on the page.
    """
    errors = find_errors(evaluation.matches, len(evaluation.records), evaluation.threshold)
    figures = evaluation.figures | {
        **about,
        "errors": dict(zip(KINDS, errors.by_image.sum(axis=0).tolist(), strict=True)),
        "mAP50_costs": errors.costs,
        "calibration_error": errors.calibration_error,
        "calibration": errors.bins.tolist(),
        "confusion_matrix": errors.confusion.tolist(),
    }
    write_json(folder / "report.json", figures)
    write_coco(folder, evaluation)
    text = io.StringIO()
    rows = [list(map(_cell, row)) for row in _rows(figures)]
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_whole(folder / "classes.csv", text.getvalue().encode())
    parts = _texts(figures)
    for name, figure in draw_figures(evaluation, errors).items():
        save_figure(figure, folder / f"{name}.png", DPI)
        parts[name] = _inline(folder / f"{name}.png", name.replace("_", " "))
    for name, chosen in zip(("worst", "random"), choose_images(evaluation, errors), strict=True):
        pairs = [_pair(folder, evaluation, errors, index) for index in chosen]
        parts[name] = "".join(pairs) or "<p>None.</p>"
    template = Template(Path(__file__).with_name(PAGE).read_text(encoding="utf-8"))
    write_whole(folder / PAGE, template.substitute(parts).encode())
    return folder / PAGE


def choose_images(evaluation: Evaluation, errors: Errors) -> tuple[list[int], list[int]]:
    """Return the images with most errors, and others at random, but the same ones every time."""
    readable, wrong = np.flatnonzero(evaluation.sizes_hw[:, 0]), errors.by_image.sum(axis=1)
    order = readable[np.argsort(-wrong[readable], kind="stable")][:SHOWN]
    worst = order[wrong[order] > 0].tolist()
    others = np.setdiff1d(readable, worst)
    chosen = np.random.default_rng(0).choice(others, min(SHOWN, len(others)), replace=False)
    return worst, chosen.tolist()


def write_json(path, result: dict) -> None:
    """Write the figures as JSON, null for a class without ground truth; make the folder."""
    without_nan = json.loads(json.dumps(result), parse_constant=lambda _: None)
    write_whole(path, (json.dumps(without_nan, indent=2) + "\n").encode())


def write_coco(folder: Path, evaluation: Evaluation) -> None:
    """Write ground truth and detections in COCO's format; all ids count from 1."""
    records, sizes = evaluation.records, evaluation.sizes_hw[:, ::-1].tolist()
    images = [
        AnnotatedImage(one.image_path, size_wh, one.boxes_xyxy.astype(float), one.classes)
        for one, size_wh in zip(records, sizes, strict=True)
    ]
    text = format_coco(DataSet(images, evaluation.class_names, []), folder, DECIMALS)
    write_whole(folder / "ground_truth.coco.json", text.encode())
    boxes_xyxy, scores, classes = map(np.concatenate, zip(*evaluation.detections, strict=True))
    images = np.repeat(np.arange(len(records)) + 1, [len(one[1]) for one in evaluation.detections])
    rounded = to_ltwh(boxes_xyxy).round(DECIMALS), scores.astype(float).round(5)
    columns = (part.tolist() for part in (images, classes + 1, *rounded))
    keys = ("image_id", "category_id", "bbox", "score")
    found = [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]
    write_whole(folder / "detections.coco.json", json.dumps(found).encode())


def _rows(figures):
    """Return the heading and a row per class, its name and figures, that of all classes first."""
    keys, rows = COLUMNS.values(), class_rows(figures)
    rows = [[printable(name), *(row[key] for key in keys)] for name, row in rows]
    return [["class", *COLUMNS], *rows]


def _cell(value):
    """Return a value for a spreadsheet: nothing for NaN, and a name that is no formula."""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(("=", "+", "-", "@")) else value
    return "" if np.isnan(value) else value


def _number(value):
    if isinstance(value, int | str):
        return f"{value}"
    return "–" if np.isnan(value) else f"{value:.3f}"


def _texts(figures):
    """Return the texts of the page by their places in the template."""
    texts = {name: _number(value) for name, value in figures.items() if isinstance(value, float)}
    texts["images"] = counted(figures["images"], "image")
    texts["threshold"] = f"{figures['threshold']:g}"
    texts["images_per_second"] = f"{figures['images_per_second']:.1f}"
    is_best = not np.isnan(figures["best_threshold"])
    least = max(SCORES[SANE][0], figures.get("score_threshold", 0))
    none = f"No detection above a score of {least:g} is right, so no threshold is best; at"
    texts["advice"] = f"{'The best score threshold is' if is_best else none} {texts['threshold']}"
    texts["which_images"] = IMAGES_ARE.get(figures.get("images_are"), "").capitalize()
    times = figures["milliseconds"].items()
    texts["times"] = ", ".join(f"{stage} {time:.1f} ms" for stage, time in times)
    texts["settings"] = "".join(
        f"<li>{escape(printable(f'{name}: {value}'))}</li>"
        for name, value in figures.items()
        if isinstance(value, str | int) or name in DETECTOR_SETTINGS
    )
    lines = [[f"<td>{escape(_number(cell))}</td>" for cell in row] for row in _rows(figures)]
    texts["classes"] = "".join(f"<tr>{''.join(line)}</tr>" for line in lines)
    return texts


def _pair(folder, evaluation, errors, index):
    """Write an image, truth beside detections, and return it with its errors for the page."""
    path = folder / "images" / f"{index + 1:06d}.jpg"
    record, found = evaluation.records[index], evaluation.detections[index]
    drawn = draw_comparison(record, found, evaluation.threshold, evaluation.class_names)
    write_image(path, drawn)
    counts = zip(errors.by_image[index].tolist(), KINDS, strict=True)
    what = ", ".join(f"{count} {kind}" for count, kind in counts if count) or "no error"
    return _inline(path, f"{what}: {record.image_path}")


def _inline(path, caption):
    data = base64.b64encode(path.read_bytes()).decode()
    text = escape(printable(caption))
    kind = "jpeg" if path.suffix == ".jpg" else "png"
    image = f'<img alt="{text}" src="data:image/{kind};base64,{data}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"
