"""Annotation lines, which this project trains on: `image_path xmin,ymin,xmax,ymax,label ...`."""

from pathlib import Path

from yolov3.annotations import format_line, read_annotations
from yolov3.formats.box_table import BoxTable, make_table
from yolov3.formats.numbers import number_text


def read_lines(path: Path, class_names: list[str]) -> BoxTable:
    """Read an annotation file. Raises ValueError naming file, line and value for a bad one."""
    rows = []
    for record in read_annotations(path, len(class_names)):
        # The file's own decimals: as float64 the float32 nearest to 12.3 is 12.300000190734863.
        boxes = [[float(number_text(value)) for value in box] for box in record.boxes_xyxy]
        rows.append((record.image_path, (0, 0), boxes, record.classes.tolist()))
    return make_table(rows, class_names, [str(path)])


def format_lines(table: BoxTable) -> str:
    """Write the annotation file of a table, with absolute paths.

    Raises ValueError for a path that no annotation line can hold.
    """
    lines = [format_line(p.path, p.boxes_xyxy, p.classes) for p in table.images()]
    return "\n".join(lines) + "\n"
