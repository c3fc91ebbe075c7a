import numpy as np
import pytest
from PIL import Image

from yolov3.annotations import read_annotations
from yolov3.configs import ANCHORS, STRIDES
from yolov3.data.annotation_check import check_annotations
from yolov3.data.collisions import _letterboxes, find_shared_anchors


def test_objects_that_no_anchor_can_tell_apart_are_warnings(tmp_path):
    # Scaled by 2 into 416, 104 rows of grey above: the first box becomes 100x90 around 90, 189.
    # Its anchor is 116x90 of stride 32, its cell 2, 5; the third line's second box is in cell 3, 5.
    Image.new("RGB", (208, 104)).save(tmp_path / "x.png")
    first = "20,20,70,65,0"
    text = f"""x.png {first} 21,20,71,65,1
x.png {first} 20,20,70,65,0
x.png {first} 27,20,77,65,1
x.png {first} 42,40,48,44,1
x.png {first} 21,20,71,65,1 20,21,70,66,2
"""
    options = {"anchors": ANCHORS, "strides": STRIDES, "input_size": 416}
    (tmp_path / "train.txt").write_text(text)
    _, report = check_annotations(tmp_path / "train.txt", 10, **options)
    shared = [one for one in report.warnings if one.kind == "objects that no anchor can tell apart"]
    assert [one.line for one in shared] == [1, 5, 5]
    assert "received 21,20,71,65, which shares them with 20,20,70,65" in shared[0].message


def test_shared_anchors_agree_with_a_plain_count(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(20):
        corners = rng.integers(0, (280, 170), (60, 2))
        boxes = np.concatenate([corners, corners + rng.integers(5, 48, (60, 2))], axis=1)
        lines.append("x.png " + " ".join(",".join(map(str, [*box, 0])) for box in boxes))
    (tmp_path / "train.txt").write_text("\n".join(lines))
    records = read_annotations(tmp_path / "train.txt")
    expected = []
    for record in records:
        seen = set()
        for left, top, right, bottom in record.boxes_xyxy.astype(float):
            # 333x217 fits into 416 as 416x271, with (416 - 271) // 2 = 72 rows above.
            width, height = (right - left) * 416 / 333, (bottom - top) * 271 / 217
            x, y = (left + right) / 2 * 416 / 333, (top + bottom) / 2 * 271 / 217 + 72
            ious = []
            for scale, anchors in enumerate(ANCHORS):
                for a, (w, h) in enumerate(anchors):
                    overlap = min(w, width) * min(h, height)
                    ious.append((overlap / (w * h + width * height - overlap), scale, a))
            _, scale, a = max(ious)
            slot = scale, a, x // STRIDES[scale], y // STRIDES[scale]
            expected += [record.line] * (slot in seen)
            seen.add(slot)
    sizes_wh = np.array([[333, 217]] * len(records))
    found = find_shared_anchors(records, sizes_wh, ANCHORS, STRIDES, 416)
    assert [one.line for one in found] == expected
    assert len(expected) > 5


def test_the_letterbox_is_that_of_the_pipeline():
    images = pytest.importorskip("yolov3.images")
    sizes_wh = np.random.default_rng(0).integers(1, 3000, (500, 2))
    scale, offset = _letterboxes(sizes_wh, 416)
    for (width, height), scale_xy, offset_xy in zip(sizes_wh, scale, offset, strict=True):
        fit = images.letterbox_params((height, width), (416, 416))
        assert fit.scale_xy == tuple(scale_xy) and fit.offset_xy == tuple(offset_xy)
