"""Array-level algorithms without autograd: convolution, pooling, batch normalisation.

Everything here takes and gives NumPy or CuPy arrays, channels last: images (N, H, W, C),
convolution weights (KH, KW, C/groups, O). `reference` holds the definitions as plain loops.
"""

from minires.kernels.batch_norm import (
    gradient_sums,
    input_gradient,
    moments,
    normalize,
    track,
)
from minires.kernels.choose import Choice, explain, use_algorithm
from minires.kernels.conv import conv2d, conv2d_dw, conv2d_dx
from minires.kernels.elementwise import add, placed, relu, relu_gradient
from minires.kernels.pooling import (
    avg_pool,
    avg_pool_dx,
    max_pool,
    max_pool_gather,
    max_pool_places,
    max_pool_scatter,
)
from minires.kernels.products import matmul
from minires.kernels.scaling import scale_shift
from minires.kernels.threads import get_num_threads, set_num_threads
from minires.kernels.workspace import release_workspace

__all__ = [
    "Choice",
    "add",
    "avg_pool",
    "avg_pool_dx",
    "conv2d",
    "conv2d_dw",
    "conv2d_dx",
    "explain",
    "get_num_threads",
    "gradient_sums",
    "input_gradient",
    "matmul",
    "max_pool",
    "max_pool_gather",
    "max_pool_places",
    "max_pool_scatter",
    "moments",
    "normalize",
    "placed",
    "release_workspace",
    "relu",
    "relu_gradient",
    "scale_shift",
    "set_num_threads",
    "track",
    "use_algorithm",
]
