import numpy as np
import pytest
from made_fonts import make_font

from yolov3.annotations import Record
from yolov3.draw import FRAME_GREY, GAP, PAIR_SIDE, class_colour, draw_boxes, draw_pair

GREY = 128
NAMES = ["zero", "one", "traffic light"]


def grey(width, height):
    return np.full((height, width, 3), GREY, np.uint8)


def painted(image):
    """Return the bounds of everything that is not grey: left, top, right, bottom, inclusive."""
    rows, columns = np.nonzero((image != GREY).any(axis=2))
    return columns.min(), rows.min(), columns.max(), rows.max()


def filled_with(image, colour):
    return (image == colour).all(axis=2)


def test_the_box_is_drawn_where_it_is_and_the_image_is_not_changed():
    image = grey(300, 200)
    drawn = draw_boxes(image, np.array([[50, 60, 150, 120]]), [1], NAMES)
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert (image == GREY).all()
    assert (draw_boxes(image, np.zeros((0, 4)), [], NAMES, np.zeros(0)) == image).all()
    colour = class_colour(1)
    assert (drawn[60, 120:150] == colour).all() and (drawn[119, 50:150] == colour).all()
    assert (drawn[60:120, 50] == colour).all() and (drawn[60:120, 149] == colour).all()
    assert (drawn[65:115, 55:145] == GREY).all()  # inside
    assert painted(drawn)[0] == 50 and painted(drawn)[2:] == (149, 119)


@pytest.mark.parametrize(
    "box",
    [
        [0, 0, 40, 30],  # no room above
        [280, 0, 300, 20],  # nor to the right
        [280, 180, 300, 200],
        [0, 0, 300, 200],  # neither above nor below
        [-500, -500, 900, 900],
        [250, 190, 600, 400],
        [400, 300, 500, 400],  # outside
        [20, 100, 20, 100],  # empty
    ],
)
def test_labels_stay_whole_at_every_edge(box):
    middle = draw_boxes(grey(300, 200), np.array([[100, 100, 140, 130]]), [2], NAMES, [0.5])
    drawn = draw_boxes(grey(300, 200), np.array([box]), [2], NAMES, [0.5])
    colour = np.array(class_colour(2))
    text = filled_with(middle, [0, 0, 0]) | filled_with(middle, [255, 255, 255])
    text_here = filled_with(drawn, [0, 0, 0]) | filled_with(drawn, [255, 255, 255])
    assert text.sum() == text_here.sum() > 0  # as many pixels of letters as in the middle
    assert filled_with(drawn, colour).any()


@pytest.mark.parametrize("size", [(20, 20), (8, 300), (3, 3), (1, 1)])
def test_long_labels_and_small_images_do_no_harm(size):
    drawn = draw_boxes(grey(*size), np.array([[0, 0, *size]]), [0], ["n" * 100_000], [0.123])
    assert drawn.shape == (size[1], size[0], 3)
    assert (drawn != GREY).any()


def label_height(size, **options):
    """Return the height of the label of a box in the middle of a square image."""
    box = np.array([[size // 2, size // 2, size // 2 + 20, size // 2 + 20]])
    return size // 2 - painted(draw_boxes(grey(size, size), box, [0], NAMES, **options))[1]


def test_labels_grow_with_the_image_within_limits():
    assert label_height(100) == label_height(200) > 10
    assert label_height(1000) > 2 * label_height(200)
    assert label_height(2500) == label_height(3000)


def test_labels_of_overlapping_boxes_do_not_cover_each_other():
    boxes = np.array([[100, 100, 200, 180], [102, 101, 202, 181]])
    one = draw_boxes(grey(300, 300), boxes[:1], [0], NAMES)
    both = draw_boxes(grey(300, 300), boxes, [0, 1], NAMES)
    above, below = both[:100], both[185:]
    assert filled_with(one[:100], class_colour(0)).any()
    assert filled_with(above, class_colour(1)).any() and filled_with(below, class_colour(0)).any()


def test_the_label_of_a_high_score_covers_those_of_low_ones():
    boxes = np.array([[0, 0, 20, 20]] * 5)  # too many for the places there are
    scores = np.array([0.5, 0.4, 0.9, 0.3, 0.2])
    alone = draw_boxes(grey(40, 40), boxes[:1], [2], ["a", "b", "c"], scores[2:3])
    label = filled_with(alone, class_colour(2))[21:]  # below the box
    drawn = draw_boxes(grey(40, 40), boxes, [0, 1, 2, 0, 1], ["a", "b", "c"], scores)
    assert label.sum() > 100 and (filled_with(drawn, class_colour(2))[21:] >= label).all()


def test_a_high_score_covers_a_low_one():
    boxes = np.array([[50, 50, 100, 100]] * 2)
    for scores, winner in (([0.9, 0.2], 0), ([0.2, 0.9], 1)):
        drawn = draw_boxes(grey(300, 300), boxes, [0, 1], NAMES, np.array(scores))
        assert (drawn[60:90, 99] == class_colour(winner)).all()


def test_scores_are_printed():
    box = np.array([[50, 50, 100, 100]])
    images = [draw_boxes(grey(300, 300), box, [0], NAMES, s) for s in (None, [0.25], [0.75])]
    widths = [filled_with(p[:50], class_colour(0)).any(axis=0).sum() for p in images]
    assert widths[0] < widths[1] and (images[1] != images[2]).any()


def test_letters_beyond_english_are_not_all_the_same_empty_box():
    box = np.array([[50, 50, 100, 100]])
    drawn = [draw_boxes(grey(200, 200), box, [0], [name]) for name in ("ö", "ß", "Ж", "λ")]
    assert all((one != other).any() for i, one in enumerate(drawn) for other in drawn[:i])


def test_a_name_without_a_font_is_drawn_as_its_number(installed_fonts, tmp_path):
    def drawn(*names):
        return draw_boxes(grey(200, 200), np.array([[50, 50, 100, 100]]), [1], ["", *names], [0.5])

    number = drawn("class 1")
    for name in ("猫", "りんご", "사과", "⚽", "", "หมา"):
        assert (drawn(name) == number).all()
    assert (drawn("a\x1b[31m\n") == drawn(r"a\x1b[31m\n")).all()
    installed_fonts(make_font(tmp_path / "B.ttf", "人口"))
    assert (drawn("人") != number).any() and (drawn("人") != drawn("口")).any()
    assert (drawn("犬") == number).all()


def test_right_to_left_names_are_numbers_where_they_would_be_drawn_backwards(
    installed_fonts, monkeypatch
):
    box = np.array([[50, 50, 100, 100]])
    monkeypatch.setattr("PIL.features.check", lambda feature: False)
    drawn = [draw_boxes(grey(200, 200), box, [0], [name]) for name in ("חתול", "class 0")]
    assert (drawn[0] == drawn[1]).all()


@pytest.mark.parametrize(("count", "side"), [(150, 32), (400, 20)])
def test_labels_of_many_objects_leave_the_objects_to_be_seen(count, side):
    rng = np.random.default_rng(count)
    boxes = np.round(rng.uniform((0, 0), (640 - side, 480 - side), (count, 2))).astype(int)
    boxes = np.concatenate([boxes, boxes + side], axis=1)
    classes, scores = rng.integers(0, 3, count), np.linspace(0.3, 0.9, count)
    drawn = draw_boxes(grey(640, 480), boxes, classes, NAMES, scores)
    outlines = grey(640, 480)
    for (left, top, right, bottom), index in zip(boxes, classes, strict=True):
        outlines[top:bottom, [left, right - 1]] = class_colour(index)
        outlines[[top, bottom - 1], left:right] = class_colour(index)
    labels = (drawn != outlines).any(axis=2)
    assert max(labels[y:y_end, x:x_end].mean() for x, y, x_end, y_end in boxes) <= 0.2
    assert labels.sum() > count / 2 * 24 * 11  # the size of the smallest label, "one"
    assert (drawn == draw_boxes(grey(640, 480), boxes, classes, NAMES, scores)).all()


def test_the_best_keep_their_labels_and_scores():
    boxes = np.array([[100, 100, 120, 120]] * 200 + [[200, 200, 220, 220]])
    scores = np.linspace(0.1, 0.9, 201)
    alone = draw_boxes(grey(640, 480), boxes[:200], [0] * 200, NAMES, scores[:200])
    drawn = draw_boxes(grey(640, 480), boxes, [0] * 201, NAMES, scores)
    changed = (alone != drawn).any(axis=2)
    assert changed[180:200, 200:260].any() and not changed[90:130, 90:160].any()


def test_a_pair_has_the_truth_at_the_left_and_a_frame_around_each():
    record = Record("a.png", np.array([[200, 200, 600, 400]], np.float32), np.array([0]), 1)
    nothing = np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)
    pair = draw_pair(grey(2 * PAIR_SIDE, PAIR_SIDE), record, nothing, NAMES)
    assert pair.shape == (PAIR_SIDE // 2 + 6, 2 * (PAIR_SIDE + 6) + GAP, 3)
    left, right = pair[:, : PAIR_SIDE + 6], pair[:, PAIR_SIDE + 6 + GAP :]
    assert (right[3:-3, 3:-3] == GREY).all() and (right[[0, 1, 2, -1]] == FRAME_GREY).all()
    assert (left[150, 103:303] == class_colour(0)).any() and left[0, 0, 0] == FRAME_GREY


def test_a_small_image_of_one_object_has_its_label():
    drawn = draw_boxes(grey(32, 32), np.array([[0, 0, 32, 32]]), [0], ["cat"], [0.9])
    assert filled_with(drawn[2:-2, 2:-2], class_colour(0)).any()


def test_lines_of_a_small_object_do_not_hide_it():
    drawn = draw_boxes(grey(2000, 2000), np.array([[500, 500, 518, 518]]), [0], NAMES)
    assert (drawn[503:515, 503:515] == GREY).all()


def test_colours_of_ten_classes_are_far_apart():
    colours = np.array([class_colour(index) for index in range(10)], float)
    distances = np.linalg.norm(colours[:, np.newaxis] - colours, axis=2)
    assert distances[~np.eye(10, dtype=bool)].min() > 70


def test_text_stands_out_from_its_label():
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return np.dot([0.2126, 0.7152, 0.0722], linear)

    names = [str(index) for index in range(80)]
    for index in range(80):
        drawn = draw_boxes(grey(200, 200), np.array([[50, 50, 100, 100]]), [index], names)
        text = 0.0 if filled_with(drawn, [0, 0, 0]).any() else 1.0
        light, dark = sorted([text, luminance(np.array(class_colour(index)) / 255)], reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 3  # WCAG 2 for large text
