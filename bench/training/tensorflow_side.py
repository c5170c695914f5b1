"""Time the documents' programs in TensorFlow: a graph of one step, as the documents have it.

    python bench/training/tensorflow_side.py WORKLOAD FOLDER --steps N --threads T
    python bench/training/tensorflow_side.py WORKLOAD FOLDER --epochs N --threads T    train, and measure the quality

Prints JSON. Runs in an environment with TensorFlow and NumPy alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from workloads import WORKLOADS, batches, load

Step = Callable[[Any], Any]


def deep_tied(train: Any) -> tuple[Step, Callable[[Any], float]]:
    """784-256-256-64-32 with tied matrices and tanh; squared errors of images without their mean."""
    widths, mean = (784, 256, 256, 64, 32), train.mean(0)
    draw = np.random.default_rng(0).uniform
    matrices = [
        tf.Variable((draw(-1, 1, (a, b)) / np.sqrt(a)).astype(np.float32)) for a, b in itertools.pairwise(widths)
    ]
    there = [tf.Variable(tf.zeros(b)) for b in widths[1:]]
    back = [tf.Variable(tf.zeros(a)) for a in widths[:-1][::-1]]
    variables, optimiser = [*matrices, *there, *back], tf.keras.optimizers.Adam(1e-3)
    optimiser.build(variables)

    def restored(x: Any) -> Any:
        for matrix, bias in zip(matrices, there, strict=True):
            x = tf.tanh(x @ matrix + bias)
        for matrix, bias in zip(matrices[::-1], back, strict=True):
            x = tf.tanh(tf.matmul(x, matrix, transpose_b=True) + bias)
        return x

    @tf.function(reduce_retracing=True)
    def step(x: Any) -> Any:
        x = x - mean
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(restored(x) - x)) / tf.cast(tf.shape(x)[0], tf.float32)
        optimiser.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step, lambda x: float(tf.reduce_mean(tf.reduce_sum(tf.square(restored(x - mean) - (x - mean)), 1)))


def _keras(model: Any, optimiser: Any, noisy: bool = False) -> tuple[Step, Callable[[Any], float]]:
    """A Keras model with the cross-entropy of pixels, compiled to one step as ``fit`` has it."""
    model.compile(optimizer=optimiser, loss="binary_crossentropy")
    rng = tf.random.Generator.from_seed(0)
    shaped = len(model.input_shape) == 4

    def seen(x: Any) -> Any:
        return tf.clip_by_value(x + rng.normal(tf.shape(x), stddev=0.5), 0.0, 1.0) if noisy else x

    @tf.function(reduce_retracing=True)
    def step(x: Any) -> Any:
        x = tf.reshape(x, (-1, 28, 28, 1)) if shaped else x
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.keras.losses.binary_crossentropy(x, model(seen(x), training=True)))
        variables = model.trainable_variables
        optimiser.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    def quality(x: Any) -> float:
        x = tf.reshape(x, (-1, 28, 28, 1)) if shaped else x
        return float(tf.reduce_mean(tf.keras.losses.binary_crossentropy(x, model.predict(seen(x), verbose=0))))

    optimiser.build(model.trainable_variables)
    return step, quality


def dense(train: Any) -> tuple[Step, Callable[[Any], float]]:
    """784-128-64-32-64-128-784, relu and sigmoid, Adam."""
    units, layers = (128, 64, 32, 64, 128), tf.keras.layers
    hidden = [layers.Dense(n, activation="relu") for n in units]
    model = tf.keras.Sequential([layers.Input((784,)), *hidden, layers.Dense(784, activation="sigmoid")])
    return _keras(model, tf.keras.optimizers.Adam(1e-3))


def simple(train: Any) -> tuple[Step, Callable[[Any], float]]:
    """784-32-784, relu and sigmoid, Adadelta with a learning rate of 1."""
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [layers.Input((784,)), layers.Dense(32, activation="relu"), layers.Dense(784, activation="sigmoid")]
    )
    return _keras(model, tf.keras.optimizers.Adadelta(1.0))


def conv_denoising(train: Any) -> tuple[Step, Callable[[Any], float]]:
    """Two convolutions of 32 channels with max-pooling, mirrored; Gaussian noise of 0.5; Adadelta."""
    layers = tf.keras.layers

    def conv(n: int, activation: str = "relu") -> Any:
        return layers.Conv2D(n, 3, activation=activation, padding="same")

    pool, up = layers.MaxPooling2D, layers.UpSampling2D
    stack = [conv(32), pool(padding="same"), conv(32), pool(padding="same"), conv(32), up(), conv(32), up()]
    model = tf.keras.Sequential([layers.Input((28, 28, 1)), *stack, conv(1, "sigmoid")])
    return _keras(model, tf.keras.optimizers.Adadelta(1.0), noisy=True)


def cvae(train: Any) -> tuple[Step, Callable[[Any], float]]:
    """The convolutional variational autoencoder of binarised images, two numbers, Adam at 1e-4."""
    layers = tf.keras.layers
    encoder = tf.keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.Conv2D(64, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(4),
        ]
    )
    decoder = tf.keras.Sequential(
        [
            layers.Input((2,)),
            layers.Dense(7 * 7 * 32, activation="relu"),
            layers.Reshape((7, 7, 32)),
            layers.Conv2DTranspose(64, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(32, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(1, 3, padding="same"),
        ]
    )
    optimiser = tf.keras.optimizers.Adam(1e-4)
    variables = [*encoder.trainable_variables, *decoder.trainable_variables]
    optimiser.build(variables)

    def bound(x: Any) -> Any:
        x = tf.reshape(tf.cast(x > 0.5, tf.float32), (-1, 28, 28, 1))
        mean, log_variance = tf.split(encoder(x), 2, axis=1)
        z = mean + tf.exp(0.5 * log_variance) * tf.random.normal(tf.shape(mean))
        crossed = tf.nn.sigmoid_cross_entropy_with_logits(logits=decoder(z), labels=x)
        kl = 0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(log_variance) - log_variance - 1, 1)
        return -tf.reduce_sum(crossed, (1, 2, 3)) - kl

    @tf.function(reduce_retracing=True)
    def step(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(bound(x))
        optimiser.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return step, lambda x: float(
        tf.reduce_mean(tf.concat([bound(x[at : at + 1000]) for at in range(0, 10_000, 1000)], 0))
    )


BUILD = {"deep-tied": deep_tied, "dense": dense, "simple": simple, "conv-denoising": conv_denoising, "cvae": cvae}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    workload, (train, test) = WORKLOADS[arguments.workload], load(arguments.folder)
    step, quality = BUILD[arguments.workload](train)
    rng = np.random.default_rng(0)
    step(train[: workload.batch_size])  # traced
    seconds, cpu, n_steps, curve = 0.0, 0.0, 0, []
    for _ in range(max(arguments.epochs, 1)):
        parts = batches(len(train), workload.batch_size, rng)
        parts = parts[: arguments.steps] if arguments.steps else parts
        began, cpu_began = time.perf_counter(), time.process_time()
        for indices in parts:
            step(train[indices])
        seconds, n_steps = seconds + time.perf_counter() - began, n_steps + len(parts)
        cpu += time.process_time() - cpu_began
        if arguments.epochs:
            curve.append([round(seconds, 2), quality(test), round(cpu, 2)])
            print(curve[-1], file=sys.stderr, flush=True)
    print(json.dumps({"steps_per_second": n_steps / seconds, "curve": curve, "version": tf.__version__}))


if __name__ == "__main__":
    main()
