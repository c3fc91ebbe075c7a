"""Both networks and their training step in PyTorch, as a PyTorch user writes them: to be beaten.

The same layers, targets and losses as in `yolov3/`, in channels-last memory, which is the fastest
on CPUs, with the fused AdamW and without a moving average of the weights.
"""

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.torch_loss import assign_anchors, compute_loss
from yolov3.configs import ANCHORS, ANCHORS_PER_SCALE, STRIDES, TINY_ANCHORS, TINY_STRIDES

BLOCKS = ((64, 1), (128, 2), (256, 8), (512, 8), (1024, 4))


class Conv(nn.Sequential):
    """Convolution, batch normalisation, leaky ReLU; darknet pads stride 2 at the top left."""

    def __init__(self, channels, filters, kernel, stride=1):
        pad = [nn.ZeroPad2d((1, 0, 1, 0))] if stride == 2 else []
        padding = 0 if stride == 2 else kernel // 2
        super().__init__(
            *pad,
            nn.Conv2d(channels, filters, kernel, stride, padding, bias=False),
            nn.BatchNorm2d(filters, eps=1e-5, momentum=0.1),
            nn.LeakyReLU(0.1, inplace=True),
        )


class Residual(nn.Module):
    def __init__(self, filters):
        super().__init__()
        self.convs = convs(filters, filters // 2, filters)

    def forward(self, x):
        return x + self.convs(x)


class YoloV3(nn.Module):
    """(B, 3, H, W) in [0, 1] -> raw maps (B, G, G, A, 5 + C), fine to coarse, float32."""

    def __init__(self, num_classes):
        super().__init__()
        stages, channels = [], 32
        for filters, blocks in BLOCKS:
            stage = [Conv(channels, filters, 3, 2), *(Residual(filters) for _ in range(blocks))]
            stages.append(nn.Sequential(*stage))
            channels = filters
        self.stem = nn.Sequential(Conv(3, 32, 3), *stages[:3])
        self.stage4, self.stage5 = stages[3:]
        self.neck5 = convs(1024, 512, 1024, 512, 1024, 512)
        self.head5 = head(512, num_classes)
        self.up5 = Conv(512, 256, 1)
        self.neck4 = convs(768, 256, 512, 256, 512, 256)
        self.head4 = head(256, num_classes)
        self.up4 = Conv(256, 128, 1)
        self.neck3 = convs(384, 128, 256, 128, 256, 128)
        self.head3 = head(128, num_classes)

    def forward(self, x):
        fine = self.stem(x)
        middle = self.stage4(fine)
        coarse = self.neck5(self.stage5(middle))
        middle = self.neck4(torch.cat([F.interpolate(self.up5(coarse), scale_factor=2), middle], 1))
        fine = self.neck3(torch.cat([F.interpolate(self.up4(middle), scale_factor=2), fine], 1))
        return raw_maps(self.head3(fine), self.head4(middle), self.head5(coarse))


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
        return raw_maps(self.head4(joined), self.head5(coarse))


def convs(channels, *filters):
    """Convolutions with kernels of 1 and 3 in turn."""
    layers = []
    for i, count in enumerate(filters):
        layers.append(Conv(channels, count, 3 if i % 2 else 1))
        channels = count
    return nn.Sequential(*layers)


def raw_maps(*maps):
    """(B, A * (5 + C), G, G) -> (B, G, G, A, 5 + C), in float32."""
    return [raw.permute(0, 2, 3, 1).unflatten(3, (ANCHORS_PER_SCALE, -1)).float() for raw in maps]


def head(channels, num_classes):
    filters = ANCHORS_PER_SCALE * (5 + num_classes)
    return nn.Sequential(Conv(channels, 2 * channels, 3), nn.Conv2d(2 * channels, filters, 1))


def copy_weights(model: nn.Module, keras_model) -> None:
    """Give a network the weights of one of `yolov3.yolov3.build_yolov3`, layer by layer."""
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    for index, module in enumerate(convolutions):
        kernel, *bias = keras_model.get_layer(f"conv_{index}").get_weights()
        _set(module.weight, kernel.transpose(3, 2, 0, 1))
        if bias:
            _set(module.bias, bias[0])
    normed = [index for index, module in enumerate(convolutions) if module.bias is None]
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for index, module in zip(normed, norms, strict=True):
        values = keras_model.get_layer(f"bn_{index}").get_weights()
        parts = (module.weight, module.bias, module.running_mean, module.running_var)
        for part, value in zip(parts, values, strict=True):
            _set(part, value)


def _set(parameter, value):
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(value))


class TrainingStep:
    """Learn from batches: `step(images uint8 (B, H, W, 3), boxes_xyxy, classes) -> loss`."""

    def __init__(self, num_classes, precision="float32", tiny=False):
        self.num_classes, self.precision = num_classes, getattr(torch, precision)
        self.anchors, self.strides = (TINY_ANCHORS, TINY_STRIDES) if tiny else (ANCHORS, STRIDES)
        network = (YoloV3Tiny if tiny else YoloV3)(num_classes)
        self.model = network.to(memory_format=torch.channels_last).train()
        parameters = self.model.parameters()
        self.optimizer = torch.optim.AdamW(parameters, lr=1e-5, weight_decay=0.0, fused=True)

    def __call__(self, images, boxes_xyxy, classes):
        self.optimizer.zero_grad(set_to_none=True)
        total = sum(self.losses(images, boxes_xyxy, classes).values())
        total.backward()
        self.optimizer.step()
        return total.item()

    def losses(self, images, boxes_xyxy, classes):
        """Return the scalars giou, conf and prob."""
        x = images.permute(0, 3, 1, 2).float() / 255.0  # channels last in memory, as it came
        mixed = self.precision is not torch.float32
        with torch.autocast(images.device.type, self.precision, enabled=mixed):
            outputs = self.model(x)
        scales, size = (self.anchors, self.strides), images.shape[1]
        targets = assign_anchors(boxes_xyxy, classes, *scales, self.num_classes, size)
        return compute_loss(outputs, targets, boxes_xyxy, *scales)
