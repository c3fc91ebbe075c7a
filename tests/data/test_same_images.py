"""Files of one content are found, whatever their names."""

from yolov3.data.same_images import content_keys


def test_files_of_one_content_have_one_key(tmp_path):
    contents = {"a.png": b"one", "b.png": b"two", "c.jpg": b"one", "d.png": b"three"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link.png").symlink_to("b.png")
    (tmp_path / "folder.png").mkdir()
    names = [*contents, "a.png", "link.png", "gone.png", "gone too.png", "folder.png"]
    keys = content_keys([str(tmp_path / name) for name in names])
    place = {key: names[keys.index(key)] for key in keys}
    assert [place[key] for key in keys] == [
        "a.png",
        "b.png",
        "a.png",
        "d.png",
        "a.png",
        "b.png",
    ] + [
        "gone.png",
        "gone too.png",
        "folder.png",
    ]
