"""The plan of a run: steps, sizes, and the pixels that are left."""

from yolov3.configs import Config
from yolov3.runs.plan import Plan


def test_steps_sizes_and_pixels_by_hand():
    config = Config(
        train_epochs=3, train_batch_size=4, train_input_size=64, train_input_scales=(0.5, 1.0, 1.0)
    )
    plan = Plan(config, num_records=9)
    assert (plan.steps_per_epoch, plan.total_steps) == (3, 9)
    assert [plan.input_size(epoch) for epoch in range(3)] == [32, 64, 64]
    assert [plan.last_step(epoch) for epoch in range(3)] == [3, 6, 9]
    assert plan.pixels_left(0, 1) == 4 * (2 * 32**2 + 6 * 64**2)
    assert plan.pixels_left(1, 3) == 4 * 6 * 64**2
    assert plan.pixels_left(2, 9) == 0
