"""Rounding of weights: errors of kernels must cancel, and a bias that is made exact has none."""

import numpy as np
import pytest
import tensorflow as tf

from yolov3.kernels.rounding import make_bias_exact, round_kernel

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


@pytest.mark.parametrize("dtype", HALF_PRECISIONS)
def test_an_exact_bias_changes_no_output(dtype):
    rng = np.random.default_rng(1)
    kernel, next_kernel = rng.normal(size=(3, 3, 2, 7)), rng.normal(size=(1, 1, 7, 4))
    bias = np.array([9.1234, -9.1234, 0.3, 1e-3, 0, 1, 1e-40])
    before = [weights.astype(np.float32) for weights in (kernel, bias, next_kernel)]
    after = make_bias_exact(*before, dtype)
    x = tf.constant(rng.normal(size=(1, 6, 6, 2)), tf.float32)

    def outputs(kernel, bias, next_kernel):
        hidden = tf.nn.leaky_relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias, 0.1)
        return tf.nn.conv2d(tf.nn.max_pool2d(hidden, 2, 2, "SAME"), next_kernel, 1, "SAME")

    np.testing.assert_allclose(outputs(*after), outputs(*before), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(plainly_rounded(after[1], dtype)[:6], after[1][:6], rtol=1e-6)
    assert np.abs(plainly_rounded(before[1], dtype) - before[1]).max() > 1e-4
    assert after[1][6] == before[1][6]  # too small for the type: left as it was


def test_a_bias_in_float32_is_exact_as_it_is():
    kernel = random_kernel((1, 1, 2, 3))
    bias, next_kernel = np.float32([0.1, -7.3, 0]), random_kernel((1, 1, 3, 2))
    for before, after in zip(
        (kernel, bias, next_kernel),
        make_bias_exact(kernel, bias, next_kernel, "float32"),
        strict=True,
    ):
        np.testing.assert_array_equal(after, before)
