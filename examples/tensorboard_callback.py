"""A callback that writes losses and reconstructions to TensorBoard.

pip install 'narrows[train]' tensorboard
python examples/tensorboard_callback.py
tensorboard --logdir runs
"""

from __future__ import annotations

from typing import Any

import numpy as np

import narrows
import narrows.data
from narrows.errors import MissingPackageError
from narrows.training import Callback, Epoch


class TensorBoard(Callback):
    """Writes loss, validation loss and learning rate of each epoch, and reconstructions of some images.

    Parameters
    ----------
    folder : str
        Where TensorBoard looks for the run.
    images : ndarray of uint8, shape (n, height, width), optional
        Images to restore after each epoch.
    """

    def __init__(self, folder: str, images: np.ndarray[Any, Any] | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as error:
            raise MissingPackageError("This example needs TensorBoard. Install it: pip install tensorboard") from error
        self.writer, self.images, self.prefix = SummaryWriter(folder), images, ""

    def stage(self, name: str) -> None:
        self.prefix = f"{name}/"

    def epoch(self, row: Epoch) -> None:
        self.writer.add_scalar(f"{self.prefix}loss", row.loss, row.epoch)
        if row.validation_loss is not None:
            self.writer.add_scalar(f"{self.prefix}validation_loss", row.validation_loss, row.epoch)
        self.writer.add_scalar(f"{self.prefix}learning_rate", row.learning_rate, row.epoch)
        if self.images is not None:
            pairs = np.concatenate([self.images, self.model.reconstruct(self.images)], axis=2)  # side by side
            self.writer.add_images(f"{self.prefix}reconstructions", pairs[:, None], row.epoch)

    def stop(self) -> None:
        self.writer.flush()


if __name__ == "__main__":
    test = narrows.data.open("digits:test").values
    model = narrows.recipe("auto", n_latent=8, random_state=0, verbose=1)
    model.fit("digits:train", callback=TensorBoard("runs/digits", test[:8]))
