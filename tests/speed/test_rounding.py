"""Rounding of kernels: its errors must cancel, and no number may go far."""

import numpy as np
import pytest
import tensorflow as tf

from yolov3.speed.rounding import round_kernel

HALF_PRECISIONS = {"bfloat16": 2.0**-8, "float16": 2.0**-11}  # largest error of rounding 1 + x


def random_kernel(shape=(3, 3, 64, 5)) -> np.ndarray:
    return np.random.default_rng(0).uniform(1.0, 1.9, shape).astype(np.float32)


def plainly_rounded(kernel, dtype):
    return kernel.astype(tf.as_dtype(dtype).as_numpy_dtype).astype(np.float32)


def test_what_rounding_takes_goes_to_the_next_number_of_the_same_output():
    step = 2.0**-7  # between neighbours of 1 in bfloat16
    a_quarter_above = np.array([1 + step / 4] * 4).reshape(1, 1, 4, 1)
    exact = np.ones((1, 1, 4, 1))
    kernel = np.concatenate([a_quarter_above, exact], axis=-1).astype(np.float32)
    rounded = round_kernel(kernel, "bfloat16")
    # Owed after each number, in quarters of a step: 1, 2 (a tie, to the even 1), -1, 0.
    assert rounded[0, 0, :, 0].tolist() == [1, 1, 1 + step, 1]
    assert rounded[0, 0, :, 1].tolist() == [1, 1, 1, 1]


def test_the_pixels_of_a_channel_come_one_after_another():
    step = 2.0**-7
    kernel = np.ones((2, 1, 2, 1), np.float32)
    kernel[0, 0, 0, 0] = kernel[1, 0, 0, 0] = 1 + step * 0.375  # both of channel 0
    rounded = round_kernel(kernel, "bfloat16")
    assert rounded[:, 0, 0, 0].tolist() == [1, 1 + step]
    assert rounded[:, 0, 1, 0].tolist() == [1, 1]


@pytest.mark.parametrize("dtype", HALF_PRECISIONS)
def test_every_number_is_one_that_the_type_holds(dtype):
    rounded = round_kernel(random_kernel(), dtype)
    np.testing.assert_array_equal(rounded, plainly_rounded(rounded, dtype))


@pytest.mark.parametrize("dtype", HALF_PRECISIONS)
def test_the_errors_of_an_output_cancel(dtype):
    kernel, largest = random_kernel(), HALF_PRECISIONS[dtype]
    errors = (round_kernel(kernel, dtype) - kernel).sum(axis=(0, 1, 2), dtype=np.float64)
    plain = (plainly_rounded(kernel, dtype) - kernel).sum(axis=(0, 1, 2), dtype=np.float64)
    assert np.abs(errors).max() <= 1.01 * largest
    assert np.abs(plain).max() > 5 * largest


@pytest.mark.parametrize("dtype", HALF_PRECISIONS)
def test_no_number_goes_further_than_two_roundings(dtype):
    kernel = random_kernel()
    assert np.abs(round_kernel(kernel, dtype) - kernel).max() <= 2.01 * HALF_PRECISIONS[dtype]


def test_float32_stays_as_it_is():
    kernel = random_kernel()
    np.testing.assert_array_equal(round_kernel(kernel, "float32"), kernel)
