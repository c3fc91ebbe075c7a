"""The files of a detection: what they hold, and that none overwrites another."""

import json
from contextlib import closing

import numpy as np
import pytest
from full_disk import full_disk
from white_square_detector import NAMES, dark_image, read_video

from yolov3.annotations import read_annotations
from yolov3.class_names import read_class_names
from yolov3.formats.conversion import ConversionJob, Source, convert
from yolov3.images import read_image, write_image
from yolov3.inference import outputs
from yolov3.inference.frames import Frame
from yolov3.inference.outputs import JsonFile, OutputOptions, Outputs, crop
from yolov3.inference.pipeline import Detections
from yolov3.inference.sources import find_sources
from yolov3.inference.video import VideoFile

BOXES = np.float32([[10, 5, 30, 15], [0.4, 0.6, 3.2, 2.5]])
HEAD = {"network": "white", "classes": NAMES}
ALL = OutputOptions(save=True, txt=True, crops=True, json=True)


@pytest.fixture
def images(tmp_path):
    """Return a folder of three images, two of which differ only in the extension."""
    folder = tmp_path / "in"
    for name in ("a.png", "a.jpg", "sub/b.bmp"):
        write_image(folder / name, dark_image(40, 20, (10, 5, 30, 15)))
    return folder


def found_in(frame):
    return Detections(frame, BOXES, np.float32([0.9, 0.8]), np.int32([1, 0]))


def write_all(folder, sources, options, frames=None, names=NAMES, told=None):
    """Write what is `found_in` each source's frames."""
    folder.mkdir()
    told = [] if told is None else told
    frames = [Frame(source) for source in sources] if frames is None else frames
    loaded = [
        frame.with_image(read_image(frame.source.address)) if not frame.is_live else frame
        for frame in frames
    ]
    head = {**HEAD, "classes": names}
    with closing(Outputs(folder, sources, options, head, told.append)) as files:
        for frame in loaded:
            files.write(*files.draw(found_in(frame)))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_every_image_has_files_of_its_own(images, tmp_path):
    written = write_all(tmp_path / "out", find_sources([str(images)]), ALL)
    bright, dark = "crops/white_bright/", "crops/dark/"
    assert written == sorted(
        ["a.jpg", "a-2.png", "sub/b.png", "detections.json"]
        + [f"labels/{name}.txt" for name in ("a", "a-2", "sub/b", "classes")]
        + [bright + "a-1.jpg", bright + "a-2-1.png", bright + "sub/b-1.png"]
        + [dark + "a-2.jpg", dark + "a-2-2.png", dark + "sub/b-2.png"]
    )


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("save", ["a.png"]),
        ("txt", ["labels/a.txt", "labels/classes.txt"]),
        ("crops", ["crops/dark/a-2.png", "crops/white_bright/a-1.png"]),
        ("json", ["detections.json"]),
        ("show", []),
    ],
)
def test_only_what_the_options_say_is_written(images, tmp_path, option, expected):
    sources = find_sources([str(images / "a.png")])
    assert write_all(tmp_path / "out", sources, OutputOptions(**{option: True})) == expected


def test_folders_of_a_source_are_not_mixed_with_ours(images, tmp_path):
    write_image(images / "crops" / "dark" / "a-2.png", dark_image(40, 20))
    write_image(images / "Labels" / "x.png", dark_image(40, 20))
    written = write_all(tmp_path / "out", find_sources([str(images)]), ALL)
    assert {"crops/dark/a-2.png", "crops-2/dark/crops/dark/a-2-2.png"} <= set(written)
    assert {"Labels/x.png", "labels-2/Labels/x.txt", "labels-2/classes.txt"} <= set(written)


def test_images_and_crops_show_what_a_box_touches(images, tmp_path):
    write_all(tmp_path / "out", find_sources([str(images / "a.png")]), ALL)
    drawn, white, dark = (
        read_image(tmp_path / "out" / name)
        for name in ("a.png", "crops/white_bright/a-1.png", "crops/dark/a-2.png")
    )
    assert drawn.shape == (20, 40, 3)
    assert len(np.unique(drawn[5, 10:30], axis=0)) == 1 and drawn[5, 20].tolist() != [255] * 3
    assert white.shape == (10, 20, 3) and (white == 255).all() and dark.shape == (3, 4, 3)


@pytest.mark.parametrize("box", [[0, 0, 0, 0], [40, 20, 40, 20], [7, 7, 7, 7], [39.9, 0, 40, 0.1]])
def test_a_crop_has_a_pixel_at_least(box):
    assert crop(dark_image(40, 20), np.float32(box)).shape[:2] == (1, 1)


def test_labels_are_read_back_by_the_converter(images, tmp_path):
    write_all(tmp_path / "out", find_sources([str(images / "a.png")]), OutputOptions(txt=True))
    labels = tmp_path / "out" / "labels"
    assert read_class_names(labels / "classes.txt") == NAMES
    first, second = (labels / "a.txt").read_text().splitlines()
    assert first == "1 0.5 0.5 0.5 0.5"  # centre 20, 10 and size 20, 10 of 40, 20
    assert np.allclose([float(x) for x in second.split()], [0, 0.045, 0.0775, 0.07, 0.095])
    target = tmp_path / "again.txt"
    (images / "a.jpg").unlink()  # of the same name: the converter wants one of each
    convert(ConversionJob([Source("yolo", labels, images)], target, "annotations"))
    record = next(r for r in read_annotations(target) if r.image_path.endswith("a.png"))
    np.testing.assert_allclose(record.boxes_xyxy, BOXES, atol=1e-3)
    assert record.classes.tolist() == [1, 0]


def test_json_has_everything(images, tmp_path):
    sources = find_sources([str(images / "a.png")])
    write_all(tmp_path / "out", sources, OutputOptions(json=True))
    names = ("class", "class_index", "score", "box_xyxy")
    rows = [("white/bright", 1, 0.9, [10, 5, 30, 15]), ("dark", 0, 0.8, [0.4, 0.6, 3.2, 2.5])]
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    frame = {"source": str(images / "a.png"), "width": 40, "height": 20, "objects": objects}
    content = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert content == {**HEAD, "frames": [frame]}


@pytest.mark.parametrize("count", [0, 1])
def test_json_is_complete_without_frames_and_after_an_error(tmp_path, count):
    [source] = find_sources(["rtsp://host/door"])
    lost = Detections(Frame(source, error="gone", lost=1), BOXES[:0], [], [])
    with pytest.raises(KeyboardInterrupt):
        with closing(Outputs(tmp_path, [source], OutputOptions(json=True), HEAD, print)) as files:
            for _ in range(count):
                files.write(*files.draw(lost))
            raise KeyboardInterrupt
    content = json.loads((tmp_path / "detections.json").read_text())
    assert content == {**HEAD, "frames": [{"source": source.title, "error": "gone"}] * count}


def test_a_video_that_cannot_be_written_is_told_once_and_the_next_one_is(tmp_path, monkeypatch):
    sources = find_sources([f"rtsp://host/{name}" for name in ("door", "gate", "yard")])
    frames = [
        Frame(source, index, index / 10, 10, is_live=True).with_image(dark_image(64, 48))
        for source in sources
        for index in range(3)
    ]

    class Refused(VideoFile):
        def __init__(self, path, *rest):
            if path.name == "door":
                raise OSError("cannot write door")
            super().__init__(path, *rest)

        def close(self):
            super().close()
            if self.path.stem == "gate":
                raise OSError("gate is incomplete")

    monkeypatch.setattr(outputs, "VideoFile", Refused)
    told, options = [], OutputOptions(save=True, json=True)
    written = write_all(tmp_path / "out", sources, options, frames, told=told)
    assert written == ["detections.json", "gate.mp4", "yard.mp4"]
    assert told == ["cannot write door", "gate is incomplete"] and len(entries(tmp_path)) == 9


def entries(tmp_path):
    return json.loads((tmp_path / "out" / "detections.json").read_text())["frames"]


def test_classes_of_any_names_have_folders_of_their_own(images, tmp_path):
    names = ["a:b", "a?b", "a/b", "A_B", "..", ".", "", "x" * 300, "x" * 301, "e\u0301", "\u00e9"]
    [source] = find_sources([str(images / "a.png")])
    frame = Frame(source).with_image(read_image(source.address))
    boxes = np.tile(BOXES[:1], (len(names), 1))
    found = Detections(frame, boxes, np.ones(len(names)), np.arange(len(names)))
    head, options = {"classes": names}, OutputOptions(crops=True)
    with closing(Outputs(tmp_path, [source], options, head, print)) as files:
        files.write(*files.draw(found))
    folders = sorted(path.name for path in (tmp_path / "crops").iterdir())
    expected = ["A_B-4", "a_b", "a_b-2", "a_b-3", "class 4", "class 5", "class 6"]
    assert len(folders) == len(names) and set(expected) <= set(folders)
    assert all(len(list(path.iterdir())) == 1 for path in (tmp_path / "crops").iterdir())


def test_names_of_any_length_and_bytes_are_written(tmp_path):
    """The labels keep the name of the image, so that a converter finds it."""
    stems = ["x" * 251, "\u732b" * 83 + "z", "\udcff", "--", " . ", "a\nb"]
    for stem in stems:
        write_image(tmp_path / "in" / f"{stem}.png", dark_image(40, 20))
    told = []
    options = OutputOptions(save=True, txt=True, crops=True, json=True)
    write_all(tmp_path / "out", find_sources([str(tmp_path / "in")]), options, told=told)
    for stem in stems:
        assert (tmp_path / "out" / f"{stem}.png").exists()
        assert (tmp_path / "out" / "labels" / f"{stem}.txt").exists()
    assert len(list((tmp_path / "out" / "crops").rglob("*.png"))) == 2 * len(stems) and not told
    text = (tmp_path / "out" / "detections.json").read_text(encoding="utf-8")
    assert "\\udcff.png" in text and len(entries(tmp_path)) == len(stems)


@pytest.mark.parametrize("room", [0, 1, 40, 200])
def test_json_on_a_full_disk_ends_with_what_it_holds(tmp_path, room):
    json_file = JsonFile(tmp_path / "x.json", HEAD)
    json_file.write({"source": "a"})
    size = (tmp_path / "x.json").stat().st_size
    with full_disk(size + room), pytest.raises(OSError, match="x.json: File too large"):
        for _ in range(20):
            json_file.write({"source": "b"})
    json_file.write({"source": "c"})  # takes no more
    json_file.close()
    frames = json.loads((tmp_path / "x.json").read_text())["frames"]
    assert frames == [{"source": "a"}] + [{"source": "b"}] * (len(frames) - 1)
    assert (tmp_path / "x.json").stat().st_size <= size + room


def test_a_live_source_is_saved_at_its_own_pace(tmp_path):
    [source] = find_sources(["rtsp://host/door"])
    image = dark_image(64, 48)
    frames = [
        Frame(source, index, seconds, 10, is_live=True).with_image(image)
        for index, seconds in enumerate((0.0, 0.5, 0.9))
    ]
    options = OutputOptions(save=True, txt=True, json=True)
    written = write_all(tmp_path / "out", [source], options, frames)
    assert written[:3] == ["detections.json", "door.mp4", "labels/classes.txt"]
    assert written[3:] == [f"labels/door/00000{index}.txt" for index in range(3)]
    fps, saved = read_video(tmp_path / "out" / "door.mp4")
    assert fps == 10 and len(saved) == 10  # 0.9 seconds and a frame
    content = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert [(f["frame"], f["seconds"]) for f in content["frames"]] == [(0, 0), (1, 0.5), (2, 0.9)]
