"""Training: the settings of a run, the loop, its checkpoints and its progress."""

from narrows.training.callbacks import Callbacks, as_callback
from narrows.training.checkpoints import Checkpoint
from narrows.training.devices import train_on
from narrows.training.learner import Learner, Uncoupled
from narrows.training.loop import train
from narrows.training.optimisers import SGD, Adadelta, Adam, AdamW, Optimiser
from narrows.training.progress import Callback, Epoch
from narrows.training.records import JoinedRecords, LabelledRecords, Records, RecordSource
from narrows.training.schedules import Constant, Cosine, OneCycle, Plateau, Schedule
from narrows.training.settings import Training, resolve_device, resolve_training, training_device
from narrows.training.stages import Stage

__all__ = [
    "SGD",
    "Adadelta",
    "Adam",
    "AdamW",
    "Callback",
    "Callbacks",
    "Checkpoint",
    "Constant",
    "Cosine",
    "Epoch",
    "JoinedRecords",
    "LabelledRecords",
    "Learner",
    "OneCycle",
    "Optimiser",
    "Plateau",
    "RecordSource",
    "Records",
    "Schedule",
    "Stage",
    "Training",
    "Uncoupled",
    "as_callback",
    "resolve_device",
    "resolve_training",
    "train",
    "train_on",
    "training_device",
]
