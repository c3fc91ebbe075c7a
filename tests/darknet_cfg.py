"""The published architectures as Darknet cfg text, and random weights for them.

Independent of the project's code: facts of darknet's cfg/yolov3.cfg and cfg/yolov3-tiny.cfg, in a
notation of one word per section. "32" or "64/2" is a 3x3 convolution of stride 1 or 2, "1x32" one
of 1x1, "+" the shortcut over two layers, "max2" and "max1" pooling of 2x2, "out" the linear
convolution of a scale, "yolo:a,b,c" its decoding with these anchors, "<-4" and "<-1,61" routes,
"up" an upsampling by two.
"""

import struct

import numpy as np

FULL_ANCHORS = "10,13, 16,30, 33,23, 30,61, 62,45, 59,119, 116,90, 156,198, 373,326"
TINY_ANCHORS = "10,14, 23,27, 37,58, 81,82, 135,169, 344,319"
TINY_MASK = "1,2,3"  # of the fine scale, as the official weights want it


def _residual(filters, count):
    return f"1x{filters // 2} {filters} + " * count


FULL = (
    f"32 64/2 {_residual(64, 1)} 128/2 {_residual(128, 2)} 256/2 {_residual(256, 8)} "
    f"512/2 {_residual(512, 8)} 1024/2 {_residual(1024, 4)} "
    "1x512 1024 1x512 1024 1x512 1024 out yolo:6,7,8 <-4 1x256 up <-1,61 "
    "1x256 512 1x256 512 1x256 512 out yolo:3,4,5 <-4 1x128 up <-1,36 "
    "1x128 256 1x128 256 1x128 256 out yolo:0,1,2"
)
TINY = (
    "16 max2 32 max2 64 max2 128 max2 256 max2 512 max1 1024 "
    "1x256 512 out yolo:3,4,5 <-4 1x128 up <-1,8 256 out yolo:{mask}"
)


def sections(tiny: bool, mask: str = TINY_MASK) -> list[str]:
    """Return the words of a network, one for each section of its cfg."""
    return (TINY.format(mask=mask) if tiny else FULL).split()


def cfg_text(tiny: bool, num_classes: int, height: int, width: int, mask: str = TINY_MASK) -> str:
    """Write the cfg; every decoded row is output, whatever its score."""
    text = f"[net]\nheight={height}\nwidth={width}\nchannels=3\n"
    anchors = TINY_ANCHORS if tiny else FULL_ANCHORS
    for word in sections(tiny, mask):
        if word == "+":
            text += "[shortcut]\nfrom=-3\nactivation=linear\n"
        elif word == "up":
            text += "[upsample]\nstride=2\n"
        elif word.startswith("max"):
            text += f"[maxpool]\nsize=2\nstride={word[3:]}\n"
        elif word.startswith("<"):
            text += f"[route]\nlayers={word[1:]}\n"
        elif word.startswith("yolo:"):
            count = anchors.count(",") // 2 + 1
            text += (
                f"[yolo]\nmask={word[5:]}\nanchors={anchors}\nclasses={num_classes}\nnum={count}\n"
                "thresh=0\n"
            )
        else:
            filters, size, stride, normalized = convolution(word, num_classes)
            text += (
                f"[convolutional]\n{'batch_normalize=1' if normalized else ''}\nfilters={filters}\n"
                f"size={size}\nstride={stride}\npad=1\n"
                f"activation={'leaky' if normalized else 'linear'}\n"
            )
    return text


def convolution(word: str, num_classes: int) -> tuple[int, int, int, bool]:
    """Return filters, kernel size, stride and batch normalisation of a convolution's word."""
    if word == "out":
        return 3 * (5 + num_classes), 1, 1, False
    filters, _, stride = word.removeprefix("1x").partition("/")
    return int(filters), 1 if word.startswith("1x") else 3, int(stride or 1), True


def random_layers(tiny: bool, num_classes: int, seed: int) -> list[list[np.ndarray]]:
    """Draw the arrays of each convolution, in the file's order, so that activations stay near 1."""
    rng = np.random.default_rng(seed)
    words = sections(tiny)
    layers, channels_of = [], []  # of each section's output
    for i, word in enumerate(words):
        before = channels_of[-1] if channels_of else 3
        if word.startswith("<"):
            sources = [int(layer) for layer in word[1:].split(",")]
            channels_of.append(sum(channels_of[source] for source in sources))
        elif word in ("+", "up") or word.startswith(("max", "yolo")):
            channels_of.append(before)
        else:
            filters, size, _, normalized = convolution(word, num_classes)
            kernel = rng.standard_normal((filters, before, size, size), np.float32)
            kernel *= np.float32(np.sqrt((2 if normalized else 0.5) / (before * size * size)))
            ends_residual = words[i + 1] == "+"  # a branch that is small beside what it is added to
            layers.append(
                _around(rng, filters, normalized, 0.15 if ends_residual else 1.0) + [kernel]
            )
            channels_of.append(filters)
    return layers


def _around(rng, filters, normalized, gain) -> list[np.ndarray]:
    """Draw what stands before the kernel: beta, gamma, mean, variance, or a bias."""
    small = rng.normal(0, 0.2, (2, filters)).astype(np.float32)
    if not normalized:
        return [small[0]]
    gamma = rng.uniform(0.7, 1.7, filters) * gain
    variance = rng.uniform(1, 4, filters)
    return [small[0], gamma.astype(np.float32), small[1], variance.astype(np.float32)]


def write_weights(path, layers, seen_bytes: int = 8) -> None:
    """Write layers as Darknet does, with an image counter of 4 (version 0.1) or 8 bytes (0.2)."""
    minor, letter = (2, "q") if seen_bytes == 8 else (1, "i")
    with open(path, "wb") as stream:
        stream.write(struct.pack(f"<3i{letter}", 0, minor, 0, 32013312))
        for layer in layers:
            for array in layer:
                stream.write(array.astype("<f4").tobytes())
