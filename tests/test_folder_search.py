"""A folder is searched whole, and what is left out is said."""

import os
from pathlib import Path

import pytest

from yolov3.folder_search import find_files


@pytest.fixture
def folder(tmp_path):
    for name in ("b.PNG", "a.png", "deep/er/c.Png", "text.txt", ".hidden.png", ".cache/d.png"):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "set"


def found(folder):
    result = find_files(folder, {".png"})
    return [str(path.relative_to(folder)) for path in result.files], result.left_out


def test_endings_in_any_case_at_any_depth_without_hidden_ones(folder):
    names, left_out = found(folder)
    assert names == ["a.png", "b.PNG", "deep/er/c.Png"]
    assert left_out == ["1 hidden folder", "1 hidden file"]


def test_links_are_followed_but_not_in_circles(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "e.png").touch()
    (folder / "link").symlink_to(other)
    (folder / "e2.png").symlink_to(other / "e.png")
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    names, left_out = found(folder)
    assert names == ["a.png", "b.PNG", "deep/er/c.Png", "e2.png", "link/e.png"]
    assert f"folder {folder}/deep/up: a link to a folder that is searched already" in left_out
    assert f"{folder}/gone.png: a link that leads nowhere, or no regular file" in left_out


def test_a_folder_without_permission_is_named(folder, monkeypatch):
    walk_into = os.scandir

    def scandir(path):
        if Path(path).name == "deep":
            raise PermissionError(13, "Permission denied", str(path))
        return walk_into(path)

    monkeypatch.setattr(os, "scandir", scandir)  # the tests may run as root, who may read all
    names, left_out = found(folder)
    assert names == ["a.png", "b.PNG"]
    assert f"folder {folder}/deep: Permission denied" in left_out


@pytest.mark.parametrize("name", ["nothing", "a.png"])
def test_no_folder(folder, name):
    with pytest.raises(ValueError, match=f"{name}: expected a folder"):
        find_files(folder / name, {".png"})
