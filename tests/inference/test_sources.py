"""What words name: images, videos, folders, patterns, cameras, streams; and names of outputs."""

import os
import unicodedata
from pathlib import Path

import pytest

from yolov3.inference.sources import Kind, find_sources, own_names, safe_name

E_ACUTE = ("\u00e9", "e\u0301")  # one letter in two normal forms


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder of empty files, which is also the working directory."""
    names = ["b.jpg", "a.PNG", "clip.mp4", "notes.txt", ".hidden.png", "sub/a.png", ".git/x.png"]
    for name in [*names, "sub/deeper/c.webp", "empty/notes.txt", "7/x.png"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def addresses(*words):
    return [source.address for source in find_sources(words)]


def names(*words):
    return [str(source.name) for source in find_sources(words)]


def test_a_folder_is_all_in_it_sorted_without_what_is_hidden(folder):
    expected = ["7/x.png", "a.PNG", "b.jpg", "clip.mp4", "sub/a.png", "sub/deeper/c.webp"]
    assert addresses(".") == expected
    assert names(".") == ["7/x", "a", "b", "clip", "sub/a", "sub/deeper/c"]
    kinds = [source.kind for source in find_sources(["."])]
    assert kinds == [Kind.VIDEO if name == "clip.mp4" else Kind.IMAGE for name in expected]


def test_a_long_number_is_no_camera(folder):
    assert names("0") == ["camera-0"]
    with pytest.raises(ValueError, match="20250613142233: no such image, video or folder"):
        find_sources(["20250613142233"])


def test_a_url_that_is_none_is_named_without_its_password():
    with pytest.raises(ValueError, match="URL") as error:
        find_sources(["rtsp://me:secret[w@1.2.3.4/x"])
    assert "secret" not in str(error.value)


def test_patterns(folder):
    assert addresses("*.jpg", "[a-b].*") == ["b.jpg", "a.PNG"]
    (folder / "top.png").touch()
    deep = ["sub/a.png", "sub/deeper/c.webp"]
    assert addresses("**/*.png") == ["7/x.png", "sub/a.png", "top.png"]
    assert addresses("**/sub/*.png") == ["sub/a.png"]
    assert addresses("s*/**") == addresses("sub/**/*") == deep
    (folder / "top.png").unlink()
    assert addresses("*") == ["a.PNG", "b.jpg", "clip.mp4"]  # no text, and no folder
    (folder / "c[1].png").touch()
    assert addresses("c[1].png") == ["c[1].png"]  # a file of this name is that file
    assert addresses("notes.txt") == ["notes.txt"]  # a named file needs no known ending


def test_what_is_left_out_is_said_in_one_line(folder, capsys):
    (folder / "photo.HEIC").touch()
    (folder / "gone.png").symlink_to("nowhere")
    addresses(".")
    assert capsys.readouterr().err == (
        ".: left out: gone.png: a link that leads nowhere, or no regular file; 1 hidden folder; "
        "1 hidden file; 3 files with other endings (.txt 2, .heic 1)\n"
    )
    addresses("*")
    assert capsys.readouterr().err == (
        "*: left out: 2 files with other endings (.heic 1, .txt 1)\n"
    )
    addresses("**/*.png")
    assert "1 hidden folder; 1 hidden file\n" in capsys.readouterr().err
    addresses("b.jpg", "sub")
    assert capsys.readouterr().err == ""


def test_links_are_followed_and_each_file_comes_once(folder, tmp_path):
    (folder / "link").symlink_to("sub")
    (folder / "sub" / "loop").symlink_to("..")
    (folder / "sub" / "again.png").symlink_to("a.png")  # a name of its own
    once = ["link/a.png", "link/again.png", "link/deeper/c.webp"]
    assert [path for path in addresses(".", "sub") if "/" in path] == ["7/x.png", *once]
    assert [path for path in addresses("**/*.png") if "loop" in path] == []
    assert addresses("sub/a.png", "link/a.png") == ["sub/a.png"]
    assert addresses("b.jpg", str(folder / "b.jpg"), "*.jpg", "./b.jpg") == ["b.jpg"]


def test_no_label_file_takes_the_name_of_the_class_file_in_any_folder(folder):
    (folder / "sub" / "Classes.png").touch()
    assert [str(source.name) for source in find_sources(["sub/Classes.png"])] == ["Classes-2"]
    names = [str(source.name) for source in find_sources(["."])]
    assert "sub/Classes-2" in names and "sub/Classes" not in names


def test_cameras_and_streams(folder):
    camera, stream = find_sources(["0", "rtsp://me:secret@10.0.0.5:554/live/door.sdp?x=1"])
    assert (camera.kind, camera.address, camera.title) == (Kind.CAMERA, "0", "camera 0")
    assert camera.name == Path("camera-0")
    assert stream.kind is Kind.STREAM and stream.name == Path("door")
    assert stream.address == "rtsp://me:secret@10.0.0.5:554/live/door.sdp?x=1"
    assert stream.title == "rtsp://10.0.0.5:554/live/door.sdp?..."  # no secret is printed
    assert addresses("7") == ["7/x.png"]  # a folder of this name is that folder


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://host/", "host"),
        ("http://host/a b/../%2e%2e/x:y*.mjpg", "x_y"),
        (f"http://host/{'x' * 300}.mp4", "x" * 242 + "~0d4e2ca9e9cb"),
        ("http://host/..", "stream"),
        ("rtsp://[::1]/", "1"),
        ("udp://@:1234", "stream"),
    ],
)
def test_names_of_streams_are_names_of_files(url, name):
    assert names(url) == [name]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("gone.jpg", "gone.jpg: no such image, video or folder, and no camera or URL"),
        ("*.bmp", "[*].bmp: no image or video found"),
        ("empty", "empty: no image or video found"),
        ("-1", "-1: no such image"),
        ("", ": no such image"),
    ],
)
def test_a_word_that_names_nothing_is_an_error(folder, word, expected):
    with pytest.raises(ValueError, match=expected):
        find_sources(["b.jpg", word])


def test_sources_of_the_same_name_get_numbers(folder):
    for name in ("one/x.jpg", "one/x.png", "two/X.jpg", "two/x-2.jpg", "two/y.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    assert names("one", "two") == ["x", "x-2", "X-3", "x-2-2", "y"]
    assert names("one/x.jpg", "two/X.jpg") == ["x", "X-2"]  # one file where case does not count


def test_the_list_of_classes_keeps_its_name(folder):
    (folder / "Classes.png").touch()
    assert names("Classes.png") == ["Classes-2"]


def test_a_video_is_not_named_like_a_folder_of_images(folder):
    (folder / "clip").mkdir()
    (folder / "clip" / "000001.png").touch()
    assert names("clip.mp4", ".")[:2] == ["clip-2", "7/x"]
    assert "clip/000001" in names(".")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a/b", "a_b"),
        ('a\\b:c*d?e"f<g>h|i', "a_b_c_d_e_f_g_h_i"),
        ("tab\tline\nesc\x1b[31m\0", "tab_line_esc_[31m_"),
        ("--rf", "rf"),
        ("..", ""),
        (" . ", ""),
        ("../../etc", "_.._etc"),
        ("dots and blanks. . ", "dots and blanks"),
        ("\U0001f600 \u732b", "\U0001f600 \u732b"),
        ("\udcff\ud800", "__"),
    ],
)
def test_any_text_becomes_a_name(text, expected):
    assert safe_name(text) == expected


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u732b", "\U0001f600"])
def test_a_name_fits_and_long_ones_stay_different(letter):
    one, other = safe_name(letter * 300), safe_name(letter * 301)
    assert one != other and {len(one.encode()) > 235, len(one.encode()) <= 255} == {True}
    assert one.startswith(letter * 50) and one == safe_name(letter * 300)


def test_names_that_some_file_system_holds_for_the_same_get_numbers():
    wanted = ["a", "A", *E_ACUTE, E_ACUTE[0].upper(), "stra\u00dfe", "STRASSE"]
    names = own_names(map(Path, wanted))
    seen = {unicodedata.normalize("NFC", str(name)).casefold() for name in names}
    assert len(seen) == len(wanted) and names[0] == Path("a")
    assert names == own_names(map(Path, wanted))


def test_many_equal_names_are_numbered_quickly_and_stay_short():
    names = own_names([Path("x" * 255)] * 20_000)
    assert len(set(names)) == 20_000 and max(len(os.fsencode(name)) for name in names) == 255
