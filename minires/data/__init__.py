"""Images and labels, from files to batches: datasets, transforms, a loader. And a text.

Sets of images are NumPy arrays on the host: images uint8 (N, H, W, C), labels int64 (N,). A dataset
of one's own, of any samples, gives batches of tensors.
"""

from typing import TYPE_CHECKING

from minires.data.builtin import digits, fashion_mini, pride_and_prejudice
from minires.data.dataset import ImageDataset, LabelledImages
from minires.data.draws import Draws
from minires.data.errors import DataError
from minires.data.folder import ImageFolder
from minires.data.image import read_image
from minires.data.loader import Batch, DataLoader
from minires.data.registry import DATASET_NAMES, default_root, load_dataset
from minires.data.resizing import RandomResizedCrop, Resize
from minires.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from minires.data.samples import (
    ConcatDataset,
    Dataset,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)
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
from minires.from_pytorch import module_getattr

if not TYPE_CHECKING:
    __getattr__ = module_getattr("utils.data", __name__)

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "DATASET_NAMES",
    "Batch",
    "BatchSampler",
    "CenterCrop",
    "Compose",
    "ConcatDataset",
    "DataError",
    "DataLoader",
    "Dataset",
    "Draws",
    "FashionMNIST",
    "ImageDataset",
    "ImageFolder",
    "LabelledImages",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomSampler",
    "Resize",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "Transform",
    "WeightedRandomSampler",
    "dataset_statistics",
    "default_collate",
    "default_root",
    "digits",
    "fashion_mini",
    "load_dataset",
    "pride_and_prejudice",
    "random_split",
    "read_image",
    "split",
]
