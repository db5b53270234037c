"""Training: the loop, its history, checkpoints, weights files, and recipes for the command line."""

from minires.files import FileError
from minires.training.evaluate import Evaluation, evaluate
from minires.training.fit import fit
from minires.training.history import Epoch, History
from minires.training.mixed_precision import MixedPrecision
from minires.training.precise_batch_norm import update_bn
from minires.training.run import Interrupted, TrainingError
from minires.training.weights import load, save

__all__ = [
    "Epoch",
    "Evaluation",
    "FileError",
    "History",
    "Interrupted",
    "MixedPrecision",
    "TrainingError",
    "evaluate",
    "fit",
    "load",
    "save",
    "update_bn",
]
