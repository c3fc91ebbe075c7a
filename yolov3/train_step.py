"""The network, its weight average, its optimizer, and the step that trains them."""

import keras
import tensorflow as tf

from yolov3.averaging import copy_weights, update_ema
from yolov3.configs import Config
from yolov3.kernels.adamw import FusedAdamW
from yolov3.kernels.graph_optimizer import without_grappler
from yolov3.kernels.precision import POLICIES
from yolov3.labels import assign_anchors, trim_padding
from yolov3.losses import compute_loss
from yolov3.schedule import learning_rate_schedule
from yolov3.weights.parts import backbone_layers, freeze_backbone, unfreeze
from yolov3.yolov3 import build_yolov3, to_float

NOT_DECAYED = ["gamma", "beta", "bias"]  # weight decay is for kernels
BATCH_SIGNATURE = [
    tf.TensorSpec([None, None, None, 3], tf.uint8),
    tf.TensorSpec([None, None, 4], tf.float32),
    tf.TensorSpec([None, None], tf.int32),
]


class TrainStep:
    """Train a network, and keep a moving average of its weights, on all devices of the strategy.

    The average, over about the last 1 / (1 - decay) steps, is what validation, checkpoints and
    detection use: while the learning rate is high it is much better than the weights of any single
    step. Source: Polyak and Juditsky 1992; Tarvainen and Valpola 2017, "Mean teachers are better
    role models".
    """

    def __init__(self, config: Config, num_classes: int, steps_per_epoch: int, precision: str):
        self.config, self.num_classes = config, num_classes
        self.strategy = tf.distribute.get_strategy()
        policy = POLICIES[precision]
        self.model = build_yolov3(num_classes, config.tiny, policy)
        self.average = build_yolov3(num_classes, config.tiny, blank=True)
        self.reset_ema()
        self.step_count = _counter("step")
        self.skipped_steps = _counter("skipped_steps")
        self.skipped_in_a_row = _counter("skipped_in_a_row")
        # What a step changes besides the weights: the moving statistics of batch normalisation.
        self._statistics = [w for w in self.model.weights if w.name.startswith("moving_")]
        self.schedule = learning_rate_schedule(
            peak=config.train_lr_init,
            end=config.train_lr_end,
            warmup_steps=round(config.train_warmup_epochs * steps_per_epoch),
            total_steps=config.train_epochs * steps_per_epoch,
        )
        self.optimizer = self._build_optimizer(precision)
        backbone = [weight for layer in backbone_layers(self.model) for weight in layer.weights]
        late = [weight for weight in backbone if weight.trainable] if config.freeze_epochs else []
        self._adamw.start_late(late, config.freeze_epochs * steps_per_epoch)
        self.set_frozen(False)

    def set_frozen(self, frozen: bool) -> None:
        """Freeze or free the backbone, and build the graph of `step` anew."""
        freeze_backbone(self.model) if frozen else unfreeze(self.model)
        is_distributed = self.strategy.num_replicas_in_sync > 1
        signature = None if is_distributed else BATCH_SIGNATURE  # shares of a batch fit none
        # No Python control flow on tensors in there; without autograph it builds a third faster.
        step = tf.function(self._step, input_signature=signature, autograph=False)
        self.step = without_grappler(step)

    def reset_ema(self) -> None:
        """Let the average begin at the network's weights."""
        copy_weights(self.average, self.model)

    def _build_optimizer(self, precision):
        optimizer = FusedAdamW(  # the name, which Keras would count up, stands in checkpoints
            self.schedule, weight_decay=self.config.train_weight_decay, name="fused_adam_w"
        )
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
        self._adamw = optimizer
        self.scales_loss = precision == "float16"  # whose range is too small for plain gradients
        if self.scales_loss:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale")
        optimizer.build(self.model.trainable_variables)
        return optimizer

    def variables(self) -> dict[str, tf.Variable]:
        """Return all variables that a resumed run needs, each under a name of its own."""
        parts = {"model": self.model, "average": self.average, "optimizer": self.optimizer}
        named = {
            "step": self.step_count,
            "skipped_steps": self.skipped_steps,
            "skipped_in_a_row": self.skipped_in_a_row,
        }
        for part, owner in parts.items():
            named.update(
                {f"{part}/{variable.path}": variable.value for variable in owner.variables}
            )
        return named

    def _step(self, images, boxes_xyxy, classes):
        """Learn from a batch: uint8 (B, H, W, 3) RGB, boxes (B, N, 4) in pixels, classes (B, N).

        Returns the scalars giou, conf, prob, total, lr, gradient_norm, finite, skipped_steps and
        skipped_in_a_row. A step that is not finite is skipped: it counts as a step, for the
        learning rate too, and leaves no trace in weights, statistics, moments or average.
        """
        learning_rate = tf.cast(self.schedule(self.step_count), tf.float32)
        statistics = [tf.identity(weight) for weight in self._statistics]
        metrics, gradients = self.strategy.run(self._gradients, (images, boxes_xyxy, classes))
        metrics = {
            name: self.strategy.reduce(tf.distribute.ReduceOp.MEAN, value, axis=None)
            for name, value in metrics.items()
        }
        finite = self._is_finite(metrics)
        learns = finite & tf.math.is_finite(metrics["gradient_norm"])
        tf.cond(
            learns, lambda: self._apply(gradients), lambda: self._restore_batch_norm(statistics)
        )
        if self.scales_loss:
            tf.cond(finite & ~learns, self._reduce_loss_scale, lambda: None)
        self._count(finite)
        return {
            **metrics,
            "lr": learning_rate,
            "finite": finite,
            "skipped_steps": self.skipped_steps.read_value(),
            "skipped_in_a_row": self.skipped_in_a_row.read_value(),
        }

    def _gradients(self, images, boxes_xyxy, classes):
        """Return the losses and gradients of one device's share of the batch."""
        boxes_xyxy, classes = trim_padding(boxes_xyxy, classes)
        height, width = tf.unstack(tf.shape(images)[1:3])
        strides, anchors = self.config.strides, self.config.anchors
        grid_sizes = [(height // stride, width // stride) for stride in strides]
        targets = assign_anchors(
            boxes_xyxy, classes, anchors, strides, grid_sizes, self.num_classes
        )
        with tf.GradientTape() as tape:
            raw_maps = self.model(to_float(images), training=True)
            losses = compute_loss(raw_maps, targets, boxes_xyxy, anchors, strides)
            total = tf.add_n(list(losses.values()))
            scale = self.optimizer.scale_loss(1.0) / self.strategy.num_replicas_in_sync
            scaled = total * scale
        gradients = tape.gradient(scaled, self.model.trainable_variables)
        norm = tf.linalg.global_norm(gradients) / scale
        return {**losses, "total": total, "gradient_norm": norm}, gradients

    def _is_finite(self, metrics):
        """Tell whether loss, gradient and moving statistics are finite: a scalar bool.

        An activation can be so large that its variance overflows, while its normalised value, 0, is
        finite; so the statistics are looked at as well.
        """
        gradient_is_finite = tf.math.is_finite(metrics["gradient_norm"])
        if self.scales_loss:  # a scaled gradient may overflow: the next one is scaled less
            gradient_is_finite |= self.optimizer.dynamic_scale > 1.0
        statistics = tf.concat(self._statistics, axis=0)  # (channels of all layers,)
        statistics_are_finite = tf.reduce_all(tf.math.is_finite(statistics))
        return tf.math.is_finite(metrics["total"]) & gradient_is_finite & statistics_are_finite

    def _reduce_loss_scale(self):
        """Halve the scale of the loss after a gradient that overflowed on any of the devices.

        Keras's optimizer does so as well, but looks at the gradient of the first device alone.
        """
        self.optimizer.dynamic_scale.assign(self.optimizer.dynamic_scale * 0.5)
        self.optimizer.step_counter.assign(0)

    def _restore_batch_norm(self, statistics):
        """Undo what a bad batch did to the moving statistics of batch normalisation."""
        for weight, value in zip(self._statistics, statistics, strict=True):
            weight.assign(value)

    def _count(self, finite):
        """Count the step; a skipped one too in the optimizer, whose learning rate depends on it."""
        skipped = tf.cast(~finite, tf.int64)
        self.step_count.assign_add(1)
        self.skipped_steps.assign_add(skipped)
        self.skipped_in_a_row.assign((self.skipped_in_a_row + 1) * skipped)
        iterations = self.optimizer.iterations
        iterations.assign(tf.cast(self.step_count, iterations.dtype))

    def _apply(self, gradients):
        self.strategy.run(self.optimizer.apply, (gradients, self.model.trainable_variables))
        with self.strategy.scope():
            update_ema(self.average, self.model, self.step_count, self.config.train_average_decay)


def _counter(name):
    return tf.Variable(0, dtype=tf.int64, trainable=False, name=name)
