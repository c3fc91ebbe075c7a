"""torchvision's small detectors as `others_on_bccd.py` trains them.

Optimizer, decay and augmentation are those of its references/detection, the rate scaled to the
batch. As for SSDLite there the rate falls by a cosine, here over the minutes. The last weights
count: they need no validations.
"""

import math
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.timing import cores
from yolov3.annotations import read_annotations
from yolov3.class_names import read_class_names
from yolov3.configs import EVAL_SCORE_THRESHOLD

BATCH, WARM_UP = 8, 100  # images, and steps
MOMENTUM = 0.9


class Recipe(NamedTuple):
    builder: str
    threshold: str  # what the builder calls the lowest score
    peak_rate: float
    weight_decay: float
    takes_bfloat16: bool  # where that is faster


RECIPES = {
    "ssdlite": Recipe(
        "ssdlite320_mobilenet_v3_large", "score_thresh", BATCH * 0.15 / 192, 4e-5, False
    ),
    "fasterrcnn": Recipe(
        "fasterrcnn_mobilenet_v3_large_320_fpn", "box_score_thresh", BATCH * 0.02 / 16, 1e-4, True
    ),
}


def train(args, started: float):
    """Return `detect(image_path) -> boxes_xyxy, scores, classes`, and facts about the run."""
    import torch
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms.v2.functional import to_dtype

    torch.manual_seed(args.seed)
    torch.set_num_threads(len(cores()))
    recipe, output = RECIPES[args.serve], args.output.absolute()
    num_classes = len(read_class_names(output / "bccd_train.names"))
    model = build(recipe, num_classes, args.backbone, output / args.serve)
    optimizer = torch.optim.SGD(
        model.parameters(), recipe.peak_rate, MOMENTUM, weight_decay=recipe.weight_decay
    )
    batches = loader(read_annotations(output / "bccd_train.txt"))
    precision = args.precision if recipe.takes_bfloat16 else "float32"
    step, part = 0, 0.0
    while part < 1:
        for images, targets in batches:
            part = (time.monotonic() - started) / (60 * args.minutes)
            if part >= 1:
                break
            warmth = min(1, (step + 1) / WARM_UP)
            rate = recipe.peak_rate * warmth * (1 + math.cos(math.pi * part)) / 2
            optimizer.param_groups[0]["lr"] = rate
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                loss = sum(model(images, targets).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if step % len(batches) == 0:
                print(f"epoch {step // len(batches)}, loss {loss.item():.3f}", flush=True)
    model.eval()

    @torch.inference_mode()
    def detect(path):
        image = to_dtype(decode_image(path, ImageReadMode.RGB), torch.float32, scale=True)
        (found,) = model([image])
        return found["boxes"], found["scores"], found["labels"] - 1

    return detect, {"epochs": f"{step / len(batches):.1f}", "precision": precision}


def build(recipe: Recipe, num_classes: int, backbone: Path | None, folder: Path):
    """Build a detector, its backbone from a file of torchvision's or from random weights."""
    import torch
    from torchvision.models import MobileNet_V3_Large_Weights, detection

    weights = MobileNet_V3_Large_Weights.IMAGENET1K_V1 if backbone else None
    if backbone:  # where torchvision looks before it downloads
        torch.hub.set_dir(folder)
        place = folder / "checkpoints" / Path(weights.url).name
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(backbone, place)
    arguments = {"weights_backbone": weights, recipe.threshold: EVAL_SCORE_THRESHOLD}
    model = getattr(detection, recipe.builder)(num_classes=1 + num_classes, **arguments)
    return model.to(memory_format=torch.channels_last)  # the faster one on a CPU


def loader(records):
    """Return a loader of augmented batches: lists of images and of their targets."""
    import torch
    from torchvision import tv_tensors
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms import v2

    augment = v2.Compose(
        [
            v2.RandomIoUCrop(),
            v2.RandomHorizontalFlip(),
            v2.SanitizeBoundingBoxes(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )

    def load(record):
        image = tv_tensors.Image(decode_image(record.image_path, ImageReadMode.RGB))
        size = image.shape[-2:]
        boxes = tv_tensors.BoundingBoxes(record.boxes_xyxy, format="XYXY", canvas_size=size)
        labels = torch.from_numpy(record.classes).long() + 1
        return augment(image, {"boxes": boxes, "labels": labels})

    return torch.utils.data.DataLoader(
        records,
        BATCH,
        shuffle=True,
        drop_last=True,
        num_workers=len(cores()),
        persistent_workers=True,
        collate_fn=lambda batch: tuple(zip(*map(load, batch), strict=True)),
    )
