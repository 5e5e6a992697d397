#!/usr/bin/env python3
"""Makes the files of this folder: KERAS_BACKEND=torch python3 make.py FOLDER. Wants PyPI's keras, torch, h5py and numpy."""
import os
import sys

import keras
import numpy as np
from keras import layers

FOLDER = sys.argv[1]
keras.utils.set_random_seed(3)


def other_statistics(net):
    """Batch norms as training leaves them."""
    rng = np.random.default_rng(0)
    for layer in net.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])


def save(name, net, x):
    other_statistics(net)
    net.save(os.path.join(FOLDER, name + ".h5"))
    net.save(os.path.join(FOLDER, name + ".keras"))
    np.save(os.path.join(FOLDER, name + ".out.npy"), np.asarray(net.predict(x, verbose=0), np.float32))
    # Channels first, as nets here read them.
    x = np.moveaxis(x, -1, 1) if x.ndim > 2 else x
    np.save(os.path.join(FOLDER, name + ".in.npy"), np.ascontiguousarray(x, np.float32))


rng = np.random.default_rng(1)
save("mlp", keras.Sequential([
    keras.Input((16,)), layers.BatchNormalization(epsilon=1e-5), layers.Dense(8, activation="relu", bias_initializer="normal"),
    layers.BatchNormalization(epsilon=1e-5), layers.Dense(5, bias_initializer="normal")]),
    rng.normal(size=(4, 16)).astype("float32"))
save("cnn", keras.Sequential([
    keras.Input((6, 7, 2)), layers.Conv2D(4, (3, 2), activation="relu", bias_initializer="normal"),
    layers.GlobalAveragePooling2D(), layers.Dense(3, use_bias=False)]),
    rng.normal(size=(3, 6, 7, 2)).astype("float32"))
# Layers whose weights are not read.
keras.Sequential([keras.Input((4, 4, 2)), layers.DepthwiseConv2D(3, name="deep"), layers.Flatten(), layers.Dense(2)]).save(
    os.path.join(FOLDER, "depthwise.keras"))
