"""Which validation is the best so far."""

import pytest

from yolov3.runs.keeper import Keeper

NAN = float("nan")


@pytest.mark.parametrize(
    ("validations", "expected", "best"),
    [
        ([(0.3, 32), (0.2, 32), (0.4, 32)], [True, False, True], 0.4),
        ([(0.3, 32), (0.3, 32)], [True, True], 0.3),  # of equals the newer one
        ([(0.9, 32), (0.5, 64), (0.4, 64)], [True, True, False], 0.5),  # another size begins anew
        ([(NAN, 32), (NAN, 32)], [True, True], -1.0),  # no picture has a box
        ([(0.3, 32), (NAN, 32), (0.1, 32)], [True, True, True], 0.1),
        ([(None, 32), (None, 32)], [True, True], -1.0),  # no validation
    ],
)
def test_the_best_is_the_highest_map_of_the_newest_size(validations, expected, best):
    keeper = Keeper(None, [], None)
    metrics = [{} if value is None else {"AP": value} for value, _ in validations]
    sizes = [size for _, size in validations]
    found = [keeper.judge(*one) for one in zip(metrics, sizes, strict=True)]
    assert found == expected
    assert (keeper.best, keeper.best_size) == (best, sizes[-1])
