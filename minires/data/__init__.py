"""Images and labels, from files to batches: datasets, transforms, a loader. And a text.

Everything here works on NumPy arrays on the host: images uint8 (N, H, W, C), labels int64 (N,).
"""

from minires.data.builtin import digits, fashion_mini, pride_and_prejudice
from minires.data.dataset import Dataset, ImageDataset
from minires.data.draws import Draws
from minires.data.errors import DataError
from minires.data.folder import ImageFolder
from minires.data.image import read_image
from minires.data.loader import Batch, DataLoader
from minires.data.registry import DATASET_NAMES, default_root, load_dataset
from minires.data.resizing import RandomResizedCrop, Resize
from minires.data.split import split
from minires.data.standard import CIFAR10, CIFAR100, FashionMNIST
from minires.data.statistics import dataset_statistics
from minires.data.transforms import (
    CenterCrop,
    Compose,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    Transform,
)

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "DATASET_NAMES",
    "Batch",
    "CenterCrop",
    "Compose",
    "DataError",
    "DataLoader",
    "Dataset",
    "Draws",
    "FashionMNIST",
    "ImageDataset",
    "ImageFolder",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "Resize",
    "Transform",
    "dataset_statistics",
    "default_root",
    "digits",
    "fashion_mini",
    "load_dataset",
    "pride_and_prejudice",
    "read_image",
    "split",
]
