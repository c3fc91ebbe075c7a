"""Figures: PNG files in one style, and the curves of runs beside one another."""

import matplotlib
import pytest

from yolov3.plots import STYLE, map_figure, save_figure


def test_panels_share_one_axis_on_which_a_perfect_map_is_seen(installed_fonts):
    curves = {"$b_2$": [(1.0, 0.5), (2.0, 1.0)], "犬": [(1.0, 0.2), (2.0, 0.8)]}
    with matplotlib.rc_context(STYLE):
        figure = map_figure({name: curves for name in ("mAP50", "mAP75", "mAP", "loss")}, "x")
        figure.draw_without_rendering()
    [legend] = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["$b_2$", r"\u72ac"]
    panels = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in panels] == ["mAP50", "mAP75", "mAP", "loss"]
    for axes in panels:
        assert axes.get_ylim() == (0, 1.02) and len(axes.lines) == 2


def test_only_png_files_are_written(tmp_path):
    with pytest.raises(ValueError, match=r"a\.jpg: expected a name that ends in \.png"):
        save_figure(None, tmp_path / "a.jpg")
