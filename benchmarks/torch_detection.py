"""YOLOv3 and YOLOv3-tiny in PyTorch for detection, with batch normalisation folded away."""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.torch_yolov3 import Conv, YoloV3, head
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


class YoloV3Tiny(nn.Module):
    """(B, 3, H, W) in [0, 1] -> raw maps (B, G, G, A, 5 + C), fine to coarse, float32."""

    def __init__(self, num_classes):
        super().__init__()
        stages = [Conv(3, 16, 3)]
        for filters in (32, 64, 128, 256):
            stages += [nn.MaxPool2d(2), Conv(filters // 2, filters, 3)]
        self.fine = nn.Sequential(*stages)
        self.down = nn.Sequential(nn.MaxPool2d(2), Conv(256, 512, 3))
        self.neck = nn.Sequential(Conv(512, 1024, 3), Conv(1024, 256, 1))
        self.head5 = head(256, num_classes)
        self.up = Conv(256, 128, 1)
        outputs = ANCHORS_PER_SCALE * (5 + num_classes)
        self.head4 = nn.Sequential(Conv(384, 256, 3), nn.Conv2d(256, outputs, 1))

    def forward(self, x):
        fine = self.fine(x)
        padded = F.pad(self.down(fine), (0, 1, 0, 1), value=-torch.inf)
        coarse = self.neck(F.max_pool2d(padded, 2, stride=1))
        joined = torch.cat([F.interpolate(self.up(coarse), scale_factor=2), fine], 1)
        return [
            raw.permute(0, 2, 3, 1).unflatten(3, (ANCHORS_PER_SCALE, -1)).float()
            for raw in (self.head4(joined), self.head5(coarse))
        ]


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
