"""YOLOv3 and YOLOv3-tiny in PyTorch for detection, with batch normalisation folded away."""

import torch
from torch import nn

from benchmarks.torch_yolov3 import Conv, YoloV3, YoloV3Tiny
from yolov3.configs import ANCHORS_PER_SCALE


def folded_network(weights) -> nn.Module:
    """Return the network of the folded weights conv_0/kernel, conv_0/bias ... as arrays."""
    tiny = "conv_13/kernel" not in weights
    outputs = weights["conv_12/bias" if tiny else "conv_74/bias"].size
    network = (YoloV3Tiny if tiny else YoloV3)(outputs // ANCHORS_PER_SCALE - 5).eval()
    for module in network.modules():
        if isinstance(module, Conv):
            _leave_out_normalisation(module)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    with torch.no_grad():
        for index, module in enumerate(convolutions):
            kernel = weights[f"conv_{index}/kernel"].transpose(3, 2, 0, 1)
            module.weight.copy_(torch.from_numpy(kernel))
            module.bias.copy_(torch.from_numpy(weights[f"conv_{index}/bias"]))
    return network


def _leave_out_normalisation(block: Conv) -> None:
    """Give the convolution a bias and make its batch normalisation the identity."""
    for index, module in enumerate(block):
        if isinstance(module, nn.Conv2d):
            block[index] = nn.Conv2d(
                module.in_channels,
                module.out_channels,
                module.kernel_size,
                module.stride,
                module.padding,
            )
        elif isinstance(module, nn.BatchNorm2d):
            block[index] = nn.Identity()
