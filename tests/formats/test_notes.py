"""The summary of a conversion: counts by reason, with a few examples."""

from yolov3.formats.notes import Notes, counted


def test_reasons_are_counted_in_the_order_of_appearance():
    notes = Notes()
    notes.add("dropped", "image", "which cannot be read", ["a.png"])
    notes.add("cut", "box", "at the edge", [], count=1200)
    notes.add("dropped", "image", "which cannot be read", ["b.png", "c.png", "d.png"])
    notes.add("dropped", "box", "of a crowd", [])  # none
    assert str(notes).splitlines() == [
        "dropped 4 images, which cannot be read: a.png; b.png; c.png ...",
        "cut 1,200 boxes, at the edge",
    ]


def test_nouns_follow_their_number():
    assert [counted(n, "box") for n in (0, 1, 2)] == ["0 boxes", "1 box", "2 boxes"]
    assert counted(1, "class") == "1 class" and counted(3, "class") == "3 classes"
    assert counted(1000, "image") == "1,000 images"
