"""The network, the moving average of its weights (EMA), its optimizer, and one training step."""

import keras
import tensorflow as tf

from yolov3.configs import Config
from yolov3.kernels.hardware import POLICIES, without_grappler
from yolov3.kernels.substitute import FusedAdamW, for_training
from yolov3.losses import batch_losses
from yolov3.schedule import learning_rate_schedule, lengths
from yolov3.weights import backbone_layers, freeze_backbone
from yolov3.yolov3 import build_yolov3, to_float

NOT_DECAYED = ["gamma", "beta", "bias"]  # weight decay is for kernels
EMA_EVERY = 4  # steps: a pass over all weights, which costs a tenth of a step on a CPU
BATCH_SIGNATURE = [
    tf.TensorSpec([None, None, None, 3], tf.uint8),
    tf.TensorSpec([None, None, 4], tf.float32),
    tf.TensorSpec([None, None], tf.int32),
]


class TrainStep:
    """Train a network and keep the EMA of its weights: `train_step(images, boxes_xyxy, classes)`.

    It runs on all replicas of the `tf.distribute` strategy in whose scope it was made. Each replica
    normalises its own part of a batch; the moving statistics are the mean of those of all, so that
    after each step all replicas hold the same. The EMA, over about the last 1 / (1 - decay) steps,
    is what validation, checkpoints and detection use: while the learning rate is high it is much
    better than the weights of any single step. Source: Polyak and Juditsky 1992; Tarvainen and
    Valpola 2017, "Mean teachers are better role models".
    """

    def __init__(self, config: Config, num_classes: int, steps_per_epoch: int, precision: str):
        self.config = config
        self.strategy = tf.distribute.get_strategy()
        self.ema = build_yolov3(num_classes, config.tiny)
        self.model = for_training(self.ema, POLICIES[precision])
        self.step_count = _counter("step")
        self.skipped_steps = _counter("skipped_steps")
        self.skipped_in_a_row = _counter("skipped_in_a_row")
        # What a step changes besides the weights: the moving statistics of batch normalisation.
        layers = self.model.layers
        self._norms = [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]
        self._statistics = _moving(self._norms)
        rates = config.train_lr_init, config.train_lr_end
        self.learning_rate = learning_rate_schedule(*rates, *lengths(config, steps_per_epoch))
        self.optimizer = self._build_optimizer(precision)
        backbone = [weight for layer in backbone_layers(self.model) for weight in layer.weights]
        late = [weight for weight in backbone if weight.trainable] if config.freeze_epochs else []
        self._adamw.start_late(late, config.freeze_epochs * steps_per_epoch)
        self._graphs = {}  # by whether the backbone is frozen
        self.set_frozen(False)

    def __call__(self, images, boxes_xyxy, classes) -> dict[str, tf.Tensor]:
        """Learn from a batch: uint8 (B, H, W, 3) RGB, boxes (B, N, 4) in pixels, classes (B, N).

        Returns the scalars giou, conf, prob, total, lr, gradient_norm, finite, skipped_steps and
        skipped_in_a_row. A step that is not finite is skipped: it counts as a step, for the
        learning rate too, and leaves no trace in weights, statistics, moments or EMA.
        """
        return self._graphs[self.is_frozen](images, boxes_xyxy, classes)

    @property
    def step(self) -> int:
        """Steps done since the start of the run, resumed ones included."""
        return int(self.step_count.numpy())

    def set_frozen(self, frozen: bool) -> None:
        """Freeze or unfreeze the backbone; the first step of either kind builds its graph."""
        self.is_frozen = frozen
        freeze_backbone(self.model, frozen)
        if frozen in self._graphs:
            return
        is_distributed = self.strategy.num_replicas_in_sync > 1
        signature = None if is_distributed else BATCH_SIGNATURE  # per-replica batches fit none
        # No Python control flow on tensors in there; without autograph it builds a third faster.
        step = tf.function(self._step, input_signature=signature, autograph=False)
        self._graphs[frozen] = without_grappler(step)

    def reset_ema(self) -> None:
        """Initialise the EMA with the model's weights."""
        for mean, weight in zip(self.ema.variables, self.model.variables, strict=True):
            mean.assign(weight)

    def variables(self) -> dict[str, tf.Variable]:
        """Return all variables that a resumed run needs, by unique names."""
        parts = {"model": self.model, "ema": self.ema, "optimizer": self.optimizer}
        named = {
            "step": self.step_count,
            "skipped_steps": self.skipped_steps,
            "skipped_in_a_row": self.skipped_in_a_row,
        }
        for part, owner in parts.items():
            named |= {f"{part}/{variable.path}": variable.value for variable in owner.variables}
        return named

    def _build_optimizer(self, precision):
        optimizer = FusedAdamW(  # named, as checkpoints hold the name and Keras would number it
            self.learning_rate, weight_decay=self.config.train_weight_decay, name="fused_adam_w"
        )
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
        self._adamw = optimizer
        self.scales_loss = precision == "float16"  # whose range is too small for plain gradients
        if self.scales_loss:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale")
        optimizer.build(self.model.trainable_variables)
        return optimizer

    def _step(self, images, boxes_xyxy, classes):
        learning_rate = tf.cast(self.learning_rate(self.step_count), tf.float32)
        statistics = [tf.identity(weight) for weight in self._statistics]
        metrics, gradients = self.strategy.run(self._gradients, (images, boxes_xyxy, classes))
        # All replicas have the same.
        metrics = {
            name: self.strategy.experimental_local_results(value)[0]
            for name, value in metrics.items()
        }
        finite = self._is_finite(metrics)
        learns = finite & tf.math.is_finite(metrics["gradient_norm"])
        tf.cond(
            learns, lambda: self._apply(gradients), lambda: self._restore_batch_norm(statistics)
        )
        if self.scales_loss:
            tf.cond(finite & ~learns, self._reduce_loss_scale, lambda: None)
        self._count_step(finite)
        return {
            **metrics,
            "lr": learning_rate,
            "finite": finite,
            "skipped_steps": self.skipped_steps.read_value(),
            "skipped_in_a_row": self.skipped_in_a_row.read_value(),
        }

    def _gradients(self, images, boxes_xyxy, classes):
        """Return the losses of the batch and its gradients, from one replica's part of it."""
        anchors, strides = self.config.anchors, self.config.strides
        with tf.GradientTape() as tape:
            raw_maps = self.model(to_float(images), training=True)
            losses = batch_losses(raw_maps, boxes_xyxy, classes, anchors=anchors, strides=strides)
            total = tf.add_n(list(losses.values()))
            scale = self.optimizer.scale_loss(1.0)
            scaled = total * (scale / self.strategy.num_replicas_in_sync)
        gradients = tape.gradient(scaled, self.model.trainable_variables)
        losses["total"] = total
        if self.strategy.num_replicas_in_sync > 1:
            losses, gradients = self._share(losses, gradients)
        return {**losses, "gradient_norm": tf.linalg.global_norm(gradients) / scale}, gradients

    def _share(self, losses, gradients):
        """Return the mean losses and summed gradients of replicas, and average their statistics.

        All that a verdict on the step needs is the same everywhere then: replicas that judged for
        themselves would wait for each other for ever.
        """
        replica, reduce = tf.distribute.get_replica_context(), tf.distribute.ReduceOp
        moving = _moving(norm for norm in self._norms if norm.trainable)
        # Together, as each exchange takes a time of its own.
        mean = replica.all_reduce(reduce.MEAN, tf.concat([*moving, [*losses.values()]], axis=0))
        *parts, values = tf.split(mean, [*(weight.shape[0] for weight in moving), len(losses)])
        for weight, part in zip(moving, parts, strict=True):
            weight.assign(part)
        losses = dict(zip(losses, tf.unstack(values), strict=True))
        return losses, replica.all_reduce(reduce.SUM, gradients)

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
        """Halve the scale of the loss after a gradient that overflowed on any replica."""
        self.optimizer.dynamic_scale.assign(self.optimizer.dynamic_scale * 0.5)
        self.optimizer.step_counter.assign(0)

    def _restore_batch_norm(self, statistics):
        """Undo what a bad batch did to the moving statistics of batch normalisation."""
        for weight, value in zip(self._statistics, statistics, strict=True):
            weight.assign(value)

    def _count_step(self, finite):
        """Advance the step counters, also for skipped steps: the learning rate follows them."""
        skipped = tf.cast(~finite, tf.int64)
        self.step_count.assign_add(1)
        self.skipped_steps.assign_add(skipped)
        self.skipped_in_a_row.assign((self.skipped_in_a_row + 1) * skipped)
        iterations = self.optimizer.iterations
        iterations.assign(tf.cast(self.step_count, iterations.dtype))

    def _apply(self, gradients):
        self.strategy.run(self.optimizer.apply, (gradients, self.model.trainable_variables))
        with self.strategy.scope():
            # Without decay the EMA is the weights of each step.
            every = EMA_EVERY if self.config.train_average_decay else 1
            is_due = self.step_count % every == 0
            tf.cond(is_due, lambda: self._update_ema(every), lambda: None)

    def _update_ema(self, every):
        """Move the EMA towards the weights; its decay grows, to forget the initial ones soon."""
        step = tf.cast(self.step_count, tf.float32)
        decay = tf.minimum(self.config.train_average_decay, (1 + step) / (10 + step))
        rate = 1 - decay**every
        replicas = tf.distribute.get_strategy().extended
        for mean, weight in zip(self.ema.variables, self.model.variables, strict=True):
            replicas.update(mean.value, _move_towards, args=(weight.value, rate), group=False)


def _moving(norms):
    return [weight for norm in norms for weight in (norm.moving_mean, norm.moving_variance)]


def _move_towards(mean, weight, rate):
    mean.assign_sub((mean - weight) * rate)


def _counter(name):
    return tf.Variable(0, dtype=tf.int64, trainable=False, name=name)
