"""The fused AdamW, against the one of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolov3.kernels.adamw import FusedAdamW

STEPS = 20
SCHEDULE = keras.optimizers.schedules.PolynomialDecay(0.1, STEPS, 0.001)
SHAPES = {"kernel": (3, 3, 2, 4), "bias": (4,), "gamma": (2,)}


def train(kind, compiled, learning_rate, epsilon=1e-7):
    """Return the variables after `STEPS` steps with the same random gradients for every kind."""
    rng = np.random.default_rng(0)
    variables = [
        keras.Variable(rng.normal(size=shape).astype(np.float32), name=name)
        for name, shape in SHAPES.items()
    ]
    optimizer = kind(learning_rate, weight_decay=0.05, epsilon=epsilon)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma"])
    optimizer.build(variables)

    def step(*gradients):
        optimizer.apply(list(gradients))

    step = tf.function(step) if compiled else step
    for i in range(STEPS):
        scale = 10.0 ** rng.integers(-6, 3)
        gradients = [rng.normal(size=shape) * scale * (i % 5 > 0) for shape in SHAPES.values()]
        step(*(tf.constant(gradient, tf.float32) for gradient in gradients))
    assert int(optimizer.iterations) == STEPS
    return [variable.numpy() for variable in variables], optimizer


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize(("rate", "epsilon"), [(1e-2, 1e-7), (1e-2, 1e-3), (SCHEDULE, 1e-7)])
def test_it_equals_keras_over_twenty_steps(compiled, rate, epsilon):
    expected, reference = train(keras.optimizers.AdamW, compiled, rate, epsilon)
    found, optimizer = train(FusedAdamW, compiled, rate, epsilon)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    for one, other in zip(optimizer.variables, reference.variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_first_step_by_hand():
    # Adam's first step is lr * g / (|g| + epsilon * ...) = lr in the gradient's direction, and the
    # decay takes lr * 0.1 of the weight first.
    variable = keras.Variable(np.float32([2.0, -3.0]))
    optimizer = FusedAdamW(0.01, weight_decay=0.1)
    optimizer.build([variable])
    optimizer.apply([tf.constant([5.0, -0.2])])
    np.testing.assert_allclose(
        variable.numpy(), [2.0 * 0.999 - 0.01, -3.0 * 0.999 + 0.01], atol=1e-6
    )


def test_a_half_precision_gradient_is_taken_as_float32():
    variable = keras.Variable(np.float32([1.0]))
    optimizer = FusedAdamW(0.01, weight_decay=0.0)
    optimizer.build([variable])
    optimizer.apply([tf.constant([3.0], tf.bfloat16)])
    np.testing.assert_allclose(variable.numpy(), [0.99], atol=1e-6)


def test_a_variable_that_starts_late_moves_as_with_a_fresh_optimizer():
    frozen_steps, gradients = 10, np.float32([[5.0], [-0.2], [0.7]])
    ends = []
    for late in (0, frozen_steps):
        variable = keras.Variable(np.float32([2.0]))
        optimizer = FusedAdamW(0.01, weight_decay=0.0)
        optimizer.build([variable])
        optimizer.start_late([variable], late)
        for gradient in [np.zeros(1, np.float32)] * late + list(gradients):
            optimizer.apply([tf.constant(gradient)])
        ends.append(float(variable.numpy()[0]))
    assert ends[1] == pytest.approx(ends[0], abs=1e-6)
    assert abs(ends[0] - 2.0) < 0.03
