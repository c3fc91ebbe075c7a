"""Ultralytics' YOLOv3-tiny as `others_on_bccd.py` trains it: its defaults, at our input size."""

import os
import shutil
import time
from pathlib import Path

from benchmarks.timing import cores
from yolov3.annotations import read_annotations
from yolov3.class_names import read_class_names
from yolov3.configs import EVAL_SCORE_THRESHOLD, Config

OFFLINE = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
HEADER_BYTES = 20  # of Darknet weights: three int32, and the images seen as int64
HEAD_AFTER = 8  # of the convolutions with batch normalisation; it has 255 maps of 512
HEAD_FLOATS = 255 + 255 * 512
LIKE_DARKNET = {"activation": "nn.LeakyReLU(0.1)"}  # Darknet's; Ultralytics' own is SiLU
DARKNET_EPSILON = 1e-5


def train(args, started: float):
    """Return `detect(image_path) -> boxes_xyxy, scores, classes`, and facts about the run.

    By default it takes one thread of two cores and float32 on a CPU, and refuses bfloat16. Here it
    takes all cores, bfloat16 where the CPU has it, and channels-last memory: a third of the time.
    """
    os.environ |= OFFLINE | {"OMP_NUM_THREADS": str(len(cores()))}
    import torch
    import ultralytics.engine.trainer
    from ultralytics import YOLO
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.nn.tasks import yaml_model_load

    class Trainer(DetectionTrainer):
        def get_model(self, cfg=None, weights=None, verbose=True):
            network = yaml_model_load(cfg) | (LIKE_DARKNET if args.weights else {})
            model = super().get_model(network, weights, verbose)
            if args.weights:
                load_darknet(model, args.weights)
            return model.to(memory_format=torch.channels_last)

        def final_eval(self):
            """Leave out the last validation again, which only reports."""

    def autocast(enabled, device):
        return torch.autocast(device, torch.bfloat16, enabled=args.precision == "bfloat16")

    ultralytics.engine.trainer.autocast = autocast
    folder = args.output.absolute() / args.serve
    shutil.rmtree(folder / "bccd", ignore_errors=True)
    model = YOLO("yolov3-tiny.yaml")
    model.add_callback(
        "on_pretrain_routine_start", lambda run: vars(run.args).update(workers=len(cores()))
    )
    model.add_callback("on_train_start", lambda _: torch.set_num_threads(len(cores())))
    data = write_data(args.output.absolute())
    model.train(
        trainer=Trainer,
        data=str(data),
        imgsz=Config.train_input_size,
        time=args.minutes / 60 - (time.monotonic() - started) / 3600,
        seed=args.seed,
        device="cpu",
        project=str(folder),
        name="bccd",
        exist_ok=True,
        plots=False,
    )
    best = YOLO(model.trainer.best)

    def detect(path):
        (found,) = best.predict(
            path, imgsz=Config.train_input_size, conf=EVAL_SCORE_THRESHOLD, verbose=False
        )
        return found.boxes.xyxy, found.boxes.conf, found.boxes.cls

    return detect, {"epochs": str(model.trainer.epoch + 1), "precision": args.precision}


def write_data(output: Path) -> Path:
    """Write its data.yaml, and link the images beside the labels, where it looks for them."""
    import yaml

    names = read_class_names(output / "bccd_train.names")
    for split in ("train", "val"):
        folder = output / "yolo/images" / split
        folder.mkdir(parents=True, exist_ok=True)
        for record in read_annotations(output / f"bccd_{split}.txt"):
            link = folder / Path(record.image_path).name
            link.unlink(missing_ok=True)
            link.symlink_to(record.image_path)
    settings = {"path": str(output / "yolo"), "train": "images/train", "val": "images/val"}
    path = output / "yolo/data.yaml"
    path.write_text(yaml.safe_dump(settings | {"names": dict(enumerate(names))}))
    return path


def load_darknet(model, path: Path) -> None:
    """Give all layers but the detection heads the values of Darknet's yolov3-tiny.weights.

    They have the same shapes in the same order. Raises ValueError for the weights of another
    network.
    """
    import numpy as np
    import torch
    from ultralytics.nn.modules import Conv

    floats = np.fromfile(path, np.float32, offset=HEADER_BYTES)
    layers = [layer for layer in model.model if isinstance(layer, Conv)]
    for index, layer in enumerate(layers):
        bn, place = layer.bn, 0
        bn.eps = DARKNET_EPSILON
        for value in (bn.bias, bn.weight, bn.running_mean, bn.running_var, layer.conv.weight):
            part = floats[place : place + value.numel()]
            value.data = torch.from_numpy(part.copy()).reshape(value.shape)
            place += value.numel()
        floats = floats[place + (HEAD_FLOATS if index == HEAD_AFTER else 0) :]
    if len(floats) != 255 + 255 * 256:
        raise ValueError(f"{path}: these are not the weights of YOLOv3-tiny with 80 classes")
