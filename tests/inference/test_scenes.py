"""Which scenes are chosen, and where their images go."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from yolov3.configs import Config
from yolov3.inference.scenes import choose_scenes, detect_and_draw, output_paths


def detector(annotations, **settings):
    """Return what `choose_scenes` needs to know of a run."""
    config = Config(test_annot_path=str(annotations), **settings)
    return SimpleNamespace(config=config, class_names=["a", "b"])


@pytest.fixture
def annotations(tmp_path):
    path = tmp_path / "test.txt"
    path.write_text("".join(f"/scenes/{i}.png 1,2,30,40,{i % 2}\n" for i in range(9)))
    return path


def test_a_seed_chooses_the_same_scenes(annotations):
    first = choose_scenes(detector(annotations), 3, seed=1)
    assert len(set(first)) == 3
    assert choose_scenes(detector(annotations), 3, seed=1) == first
    assert len(choose_scenes(detector(annotations), 100, seed=None)) == 9
    assert choose_scenes(detector("other.txt"), 3, 1, str(annotations)) == first


def test_bad_lines_are_skipped_if_the_run_skipped_them(annotations):
    with annotations.open("a") as file:
        file.write("/scenes/bad.png 1,2,30,40,7\n")
    with pytest.raises(ValueError, match=r"test\.txt:10: "):
        choose_scenes(detector(annotations), 1, seed=0)
    chosen = choose_scenes(detector(annotations, bad_lines="skip"), 100, seed=0)
    assert len(chosen) == 9 and "/scenes/bad.png" not in chosen


def test_the_image_itself_is_no_output(tmp_path):
    image = tmp_path / "scene.png"
    image.write_bytes(b"mine")
    (output,) = output_paths(str(tmp_path), [image])
    with pytest.raises(ValueError, match=r"scene\.png: refusing to overwrite an input file"):
        detect_and_draw(None, image, output)
    assert image.read_bytes() == b"mine"


def test_several_images_go_to_a_folder():
    assert output_paths("out", ["/a/b.jpg", "c.png"]) == [Path("out/b.png"), Path("out/c.png")]
    same = ["/a/x.png", "/b/x.jpg", "/c/X.png"]
    assert output_paths("out", same) == [
        Path("out/x.png"),
        Path("out/x-2.png"),
        Path("out/X-3.png"),
    ]
    assert output_paths("one.jpg", ["/a/b.jpg"]) == [Path("one.jpg")]
    with pytest.raises(ValueError, match="--output: expected a folder .* received 'one.jpg'"):
        output_paths("one.jpg", ["/a/b.jpg", "c.png"])
