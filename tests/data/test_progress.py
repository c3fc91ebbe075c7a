import sys
import time

from yolov3.data.progress import show_progress


def test_progress_is_one_line_on_a_terminal_only(monkeypatch, capsys):
    times = iter([10.0, 11.0, 13.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    batches = [[1] * 20, [2] * 20, [3] * 40]
    assert list(show_progress(batches, 100, "checking")) == batches
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(show_progress(batches, 100, "checking")) == batches
    shown = capsys.readouterr().err
    assert "\rchecking: 40 of 100, 3 s left" in shown  # 20 in a second, 60 to go
    assert "\rchecking: 80 of 100, 1 s left" in shown and "\n" not in shown
