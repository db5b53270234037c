"""Array-level algorithms without autograd: convolution, pooling, batch normalisation.

Everything here takes and gives NumPy or CuPy arrays, channels last: images (N, H, W, C),
convolution weights (KH, KW, C/groups, O). To read in this order: `reference`, the definitions as
plain loops; `elementwise`, `erf`, `reduction`, `pooling`, `batch_norm`, `cross_entropy`;
`convolution`, the largest part; `cuda`, the same in CUDA C++ for a GPU; and `machinery`, what they
all stand on.
"""

from minires.kernels.batch_norm import (
    gradient_sums,
    input_gradient,
    moments,
    normalize,
    scale_shift,
    statistics,
)
from minires.kernels.convolution.choose import Choice, explain, use_algorithm
from minires.kernels.convolution.geometry import ConvGeometry
from minires.kernels.convolution.passes import conv2d, conv2d_dw, conv2d_dx
from minires.kernels.cross_entropy import cross_entropy, cross_entropy_gradient
from minires.kernels.elementwise import add, relu, relu_gradient
from minires.kernels.erf import erf
from minires.kernels.machinery.matmul import matmul
from minires.kernels.machinery.padding import placed
from minires.kernels.machinery.threads import get_num_threads, set_num_threads
from minires.kernels.machinery.workspace import release_workspace
from minires.kernels.pooling import (
    avg_pool,
    avg_pool_dx,
    max_pool,
    max_pool_gather,
    max_pool_places,
    max_pool_scatter,
)
from minires.kernels.reduction import deviation, mean, total, variance
from minires.kernels.running_statistics import move_running_statistics

__all__ = [
    "Choice",
    "ConvGeometry",
    "add",
    "avg_pool",
    "avg_pool_dx",
    "conv2d",
    "conv2d_dw",
    "conv2d_dx",
    "cross_entropy",
    "cross_entropy_gradient",
    "deviation",
    "erf",
    "explain",
    "get_num_threads",
    "gradient_sums",
    "input_gradient",
    "matmul",
    "max_pool",
    "max_pool_gather",
    "max_pool_places",
    "max_pool_scatter",
    "mean",
    "moments",
    "move_running_statistics",
    "normalize",
    "placed",
    "release_workspace",
    "relu",
    "relu_gradient",
    "scale_shift",
    "set_num_threads",
    "statistics",
    "total",
    "use_algorithm",
    "variance",
]
