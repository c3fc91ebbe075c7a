import pytest
import tensorflow as tf

from yolov3.kernels.graph_optimizer import OFF, without_grappler


def is_off():
    return tf.config.optimizer.get_experimental_options().get(OFF, False)


def test_the_optimizer_is_off_during_the_call_and_only_then(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    seen = []

    def record(x):
        seen.append(is_off())
        return x + 1

    assert without_grappler(record)(2) == 3
    assert seen == [True]
    assert not is_off()


def test_it_is_on_again_after_an_error(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError):
        without_grappler(fail)()
    assert not is_off()


def test_a_gpu_keeps_it(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    function = tf.function(lambda x: x + 1)
    assert without_grappler(function) is function
