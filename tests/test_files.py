"""Files that are no plain files: refused at once, without waiting and without reading."""

import os

import pytest

from yolov3.files import atomic_folder, atomic_write, is_a, read_bounded, read_json, regular_size


def test_a_regular_file_is_read_whole_up_to_the_bound(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    assert regular_size(tmp_path / "a") == 5
    assert read_bounded(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="5 bytes, more than 4"):
        read_bounded(tmp_path / "a", 4)


@pytest.mark.skipif(os.name == "nt", reason="needs pipes, devices and links")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "No such file"),
        ("folder", "a folder"),
        ("pipe", "not a regular file"),
        ("device", "not a regular file"),
        ("loop", "symbolic links"),
        ("x" * 300, "name too long"),
        ("a\0b", "no file has such a name"),
    ],
)
def test_anything_else_is_an_os_error_that_says_what_it_is(tmp_path, name, reason):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError) as error:
        read_bounded(tmp_path / name, 10)
    assert reason in error.value.strerror


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[1, 2]", r"x.json: not a JSON object but \[1, 2\]"),
        (b"{", "x.json: Expecting"),
        (b"[" * 100_000, "x.json: maximum recursion"),
        (b"\xff", "x.json: 'utf-8' codec"),
        (b" " * (8 * 2**20 + 1), "x.json: 8388609 bytes, more than"),
        (None, "x.json: No such file"),
    ],
)
def test_bad_json_is_one_line_that_names_the_file(tmp_path, content, message):
    if content is not None:
        (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_json(tmp_path / "x.json")
    assert "\n" not in str(error.value)


def test_a_json_object_is_read(tmp_path):
    (tmp_path / "x.json").write_text('{"a": [1, 0.5], "b": null}')
    assert read_json(tmp_path / "x.json") == {"a": [1, 0.5], "b": None}


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, int, True),
        (True, int, False),
        (True, bool, True),
        (1, float, True),
        (True, float, False),
        (None, str, False),
        (["a", "b"], list[str], True),
        (["a", 1], list[str], False),
        ("ab", list[str], False),
        ({"a": 1, "b": 0.5}, dict[str, float], True),
        ({"a": None}, dict[str, float], False),
        ((0.5, 1), tuple[float, ...], True),
        ([0.5], tuple[float, ...], False),
    ],
)
def test_a_value_is_of_a_type_or_not(value, kind, expected):
    assert is_a(value, kind) is expected


@pytest.mark.parametrize("name", ["x" * 255, "\u00e9" * 127, "x" * 251 + ".txt"])
def test_a_file_with_the_longest_name_can_be_written(tmp_path, name):
    with atomic_write(tmp_path / name) as partial:
        partial.write_bytes(b"1")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_is_written_beside_the_files_of_others(tmp_path):
    """Only what a killed process left of the same folder goes."""
    kept = (".iso.partial", "photos.replaced", ".[ab].partial")
    for name in (*kept, ".a.partial", ".a.replaced.partial", "a.replaced"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "precious").write_text(name)
    with atomic_folder(tmp_path / "a") as folder:
        (folder / "new").write_text("1")
    assert {path.name for path in tmp_path.iterdir()} == {"a", *kept}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]
