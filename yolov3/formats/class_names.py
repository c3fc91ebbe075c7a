"""Class names: which ones a data set has, and which of them are wanted."""

from collections import Counter
from dataclasses import replace

import numpy as np

from yolov3.formats.box_table import BoxTable
from yolov3.formats.notes import Notes


def check_class_name(name: str, where: str) -> str:
    """Return a name without white space around it; `where` starts the message of the ValueError.

    A names file has one name per line, so a name is one line of printable characters.
    """
    stripped = name.strip()
    if not stripped or not stripped.isprintable():
        raise ValueError(f"{where}: expected a class name on one line; received {name!r}")
    return stripped


def select_classes(table: BoxTable, wanted: list[str], notes: Notes) -> BoxTable:
    """Number the classes as in `wanted` and drop the boxes of all others.

    Raises ValueError if no wanted class is in the table.
    """
    if not set(wanted) & set(table.class_names):
        raise ValueError(
            f"{table.sources[0]}: expected at least one of the classes {wanted[:5]}; "
            f"received {table.class_names[:5]}"
        )
    place = {name: index for index, name in enumerate(wanted)}
    new_index = np.array([place.get(name, -1) for name in table.class_names], int)
    classes = new_index[table.classes]  # (M,), -1 for a class that is not wanted
    others = Counter(table.class_names[index] for index in table.classes[classes < 0])
    shown = [f"{name!r} {count:,}" for name, count in others.most_common()]
    notes.add("dropped", "box", "of a class that --classes leaves out", shown, others.total())
    return replace(table, classes=classes, class_names=wanted).keep_boxes(classes >= 0)
