"""Sizes of many images and the errors of those that have none, and files of one content."""

from PIL import Image

from yolov3.data.image_files import content_keys, read_sizes


def test_each_image_has_its_size_or_its_error_in_order(tmp_path):
    for width in range(1, 41):
        Image.new("RGB", (width, 7)).save(tmp_path / f"ü {width}.png")
    sizes_wh, errors = read_sizes([str(tmp_path / f"ü {1 + i % 41}.png") for i in range(600)], "")
    widths = [1 + index % 41 for index in range(600)]
    assert sizes_wh.tolist() == [[width, 7] if width < 41 else [0, 0] for width in widths]
    assert [error.kind for error in errors.values()] == ["missing image"]
    assert read_sizes([], "")[0].shape == (0, 2)


def test_files_of_one_content_have_one_key(tmp_path):
    contents = {"a.png": b"one", "b.png": b"two", "c.jpg": b"one", "d.png": b"three"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link.png").symlink_to("b.png")
    (tmp_path / "folder.png").mkdir()
    names = [*contents, "a.png", "link.png", "gone.png", "gone too.png", "folder.png"]
    keys = content_keys([str(tmp_path / name) for name in names])
    place = {key: names[keys.index(key)] for key in keys}
    copies = ["a.png", "b.png", "a.png", "d.png", "a.png", "b.png"]
    assert [place[key] for key in keys] == [*copies, *names[-3:]]
