"""Pascal VOC: what its corners mean, and XML that is refused."""

import pytest
from format_samples import VOC, assert_refused, lines, write_voc
from PIL import Image

from yolov3.formats.conversion import ConversionJob, Source, convert
from yolov3.formats.voc import Corners

OUTSIDE = """<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<annotation><filename>&x;</filename></annotation>"""
ENTITIES = "".join(f"<!ENTITY a{i + 1} '{f'&a{i};' * 10}'>" for i in range(9))
LAUGHS = f"<!DOCTYPE x [<!ENTITY a0 'ha'>{ENTITIES}]><annotation>&a9;</annotation>"


def test_voc_corners_are_the_first_and_last_pixel_counted_from_one(folder):
    job = write_voc(folder)
    convert(job)
    assert lines(folder) == ["a.png 0,0,60,40,1 10,20.5,11,30,0"]
    assert lines(folder, "out.names") == ["cat", "dog"]
    # As plain edges, the second box has no width.
    with pytest.raises(ValueError, match=r"a.png', with a box that is empty .*\(11,21.5,11,30\)"):
        convert(job._replace(corners=Corners.EDGES, overwrite=True))


def test_the_lists_of_a_split_are_written_apart(folder):
    data = folder / "data"
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (data / name).mkdir(parents=True)
    for number, stem in enumerate("abc"):
        Image.new("RGB", (60, 40), (number, 0, 0)).save(data / "JPEGImages" / f"{stem}.png")
        write_voc(data / "Annotations", VOC.replace("a.png", f"{stem}.png"), f"{stem}.xml")
    lists = data / "ImageSets" / "Main"
    for part, text in {"train": "b\r\n\na", "test": "c\n", "trainval": "a\nb\n"}.items():
        (lists / f"{part}.txt").write_text(text)
    job = ConversionJob([Source("voc", lists)], folder / "out.txt", "annotations")
    summary = convert(job)
    for part, stems in {"train": "ab", "test": "c"}.items():
        paths = [line.partition(" ")[0] for line in lines(folder, f"out_{part}.txt")]
        assert paths == [f"data/JPEGImages/{stem}.png" for stem in stems]
        assert f" and {2 * len(stems)} boxes from {lists} ({part})" in summary
    assert "without annotation" not in summary  # the images of the other parts
    assert "in two lists" not in summary
    (lists / "val.txt").write_text("b\n")
    assert "found 1 image, in two lists: b" in convert(job._replace(overwrite=True))
    (lists / "val.txt").write_text("d\n")
    with pytest.raises(ValueError, match=f"^{lists}/val.txt: there is no d.xml in {data}/Annot"):
        convert(job)
    (lists / "train.txt").unlink()
    (lists / "val.txt").unlink()
    summary = convert(job._replace(overwrite=True))
    assert f"read 2 images and 4 boxes from {lists} (trainval)" in summary
    for path in lists.iterdir():
        path.write_text("\n")
    with pytest.raises(ValueError, match=f"^{lists}: expected lists of images in train.txt, val.t"):
        convert(job)


def test_voc_corners_of_zero_are_pointed_out(folder):
    job = write_voc(folder, VOC.replace("<xmin>1<", "<xmin>0<").replace("<xmax>11", "<xmax>12"))
    summary = convert(job)
    assert "found 1 file, with a corner below 1, from which VOC counts" in summary
    assert lines(folder)[0].startswith("a.png 0,0,60,40,1")  # -1 is clipped
    assert "corner below 1" not in convert(job._replace(corners=Corners.EDGES, overwrite=True))


def from_labelimg(text, source="<database>Unknown</database>"):
    return text.replace("<size>", f"<source>{source}</source><size>")


def test_corners_of_labelimg_are_edges_unless_told(folder):
    job = write_voc(folder, from_labelimg(VOC.replace("<xmin>11", "<xmin>9")))
    summary = convert(job)
    assert lines(folder) == ["a.png 1,1,60,40,1 9,21.5,11,30,0"]
    assert "found 1 file, of LabelImg, whose corners are edges; see --voc-corners" in summary
    summary = convert(job._replace(corners=Corners.PIXELS, overwrite=True))
    assert lines(folder) == ["a.png 0,0,60,40,1 8,20.5,11,30,0"] and "LabelImg" not in summary


def test_corners_of_cvat_are_pixels(folder):
    source = "<database>Unknown</database><annotation>Unknown</annotation>"
    summary = convert(write_voc(folder, from_labelimg(VOC, source)))
    assert lines(folder) == ["a.png 0,0,60,40,1 10,20.5,11,30,0"] and "LabelImg" not in summary


@pytest.mark.parametrize(
    ("declared", "encoding", "name"),
    [
        ("ISO-8859-1", "latin-1", "möwe"),
        ("windows-1252", "cp1252", "möwe"),
        ("utf-16", "utf-16", "möwe"),
        ("utf-16", "utf-8", "möwe"),  # as programs for Windows write it
        ("", "utf-16", "möwe"),
        ("GBK", "gbk", "狗鎔"),
        ("gb2312", "gbk", "狗鎔"),
        ("UTF-8", "utf-8-sig", "گربه\u200cها"),
    ],
)
def test_declared_encodings_are_read(folder, declared, encoding, name):
    head = f'<?xml version="1.0" encoding="{declared}"?>' * bool(declared)
    job = write_voc(folder)
    (folder / "a.xml").write_bytes((head + VOC.replace("dog", name)).encode(encoding))
    convert(job)
    assert lines(folder, "out.names") == ["cat", name]


def test_namespaces_blanks_capitals_and_missing_sizes_do_not_matter(folder):
    text = VOC.replace("<object>", "<objects><Object>").replace("</object>", "</Object></objects>")
    text = text.replace("<annotation>", '<annotation xmlns="http://example.org/voc">')
    text = text.replace("<width>60", "<width>").replace("<ymin>1<", "<ymin>\n 1.0 <")
    convert(write_voc(folder, text))
    assert lines(folder) == ["a.png 0,0,60,40,1 10,20.5,11,30,0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.xml: expected VOC XML; received no element found"),
        ("<html/>", "a.xml: expected <annotation>; received 'html'"),
        (OUTSIDE, "a.xml: expected VOC XML; received undefined entity &x;"),
        (LAUGHS, "a.xml: expected VOC XML; received limit on input amplification"),
        (VOC.replace("bndbox", "box"), "a.xml: object 1 <xmin>: expected a number; received ''"),
        (VOC.replace("<name>dog</name>", ""), "object 1 <name>: expected a class name on one line"),
        (VOC.replace("cat", "a\nb"), "a.xml: object 2 <name>: expected a class name on one line"),
        (VOC.replace("21.5", "21,5"), "object 2 <ymin>: expected a number; received '21,5'"),
        (
            VOC.replace("<ymin>21.5</ymin>", "<ymin/>"),
            "object 2 <ymin>: expected a number; received ''",
        ),
        (b"<?xml version='1.0' encoding='utf-8'?>\xe9", "a.xml: expected UTF-8 text; received b"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "a.xml: expected klingon text; received"),
        (VOC.replace("21.5", "1_0"), "a.xml: object 2 <ymin>: expected a number; received '1_0'"),
        (VOC.replace("<width>60", "<width>x"), "a.xml: size <width>: expected a number; rec"),
    ],
)
def test_bad_voc_is_refused(folder, text, message):
    job = write_voc(folder)
    (folder / "a.xml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert_refused(job, message)
