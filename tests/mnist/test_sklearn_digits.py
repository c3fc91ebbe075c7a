"""The offline digits: they look like MNIST, and are those of scikit-learn."""

import numpy as np
from PIL import Image

from mnist.sklearn_digits import read_offline_digits


def test_offline_digits_look_like_mnist():
    train_images, train_labels, test_images, test_labels = read_offline_digits()
    assert (len(train_labels), len(test_labels)) == (1500, 297)
    images = np.concatenate([train_images, test_images])
    assert images.shape == (1797, 28, 28) and images.dtype == np.uint8
    assert not images[:, :4].any() and not images[:, :, -4:].any()  # the margin
    assert (images.max(axis=(1, 2)) > 200).all()
    flat = images.reshape(1797, -1)
    assert len(np.unique(flat, axis=0)) == 1797  # none is in both parts
    assert set(train_labels) == set(test_labels) == set(range(10))


def test_offline_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    images, train_labels, _, test_labels = read_offline_digits()
    originals = load_digits()
    np.testing.assert_array_equal(np.append(train_labels, test_labels), originals.target)
    for drawn, original in zip(images[:200], originals.images[:200], strict=True):
        inner = Image.fromarray(drawn[4:24, 4:24]).resize((8, 8), Image.Resampling.BOX)
        assert np.corrcoef(np.asarray(inner).ravel(), original.ravel())[0, 1] > 0.9
