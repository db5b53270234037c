"""Every differentiable operation: forward and VJP side by side, on arrays and Tensors alike.

Shapes broadcast as in NumPy where nothing else is said, and those that do not fit are a ValueError.
A result has the dtype of its floating inputs; numbers, and integers beside them, never promote it.
Inputs on different devices are a `minires.backend.DeviceError`.
"""

from minires.ops.activation import (
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    softmax,
    tanh,
)
from minires.ops.arithmetic import (
    absolute,
    add,
    astype,
    clip,
    divide,
    exp,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    sign,
    sqrt,
    subtract,
    where,
)
from minires.ops.convolution import conv2d, conv2d_dw, conv2d_dx
from minires.ops.loss import cross_entropy
from minires.ops.matmul import matmul
from minires.ops.normalization import batch_norm, scale_shift
from minires.ops.pooling import avg_pool2d, max_pool2d
from minires.ops.reduction import (
    broadcast_to,
    logsumexp,
    max,
    mean,
    min,
    put_along,
    sum,
    take_along,
    var,
)
from minires.ops.shape import (
    concatenate,
    flatten,
    getitem,
    move,
    pad,
    reshape,
    scatter,
    stack,
    take,
    transpose,
)

__all__ = [
    "absolute",
    "add",
    "astype",
    "avg_pool2d",
    "batch_norm",
    "broadcast_to",
    "clip",
    "concatenate",
    "conv2d",
    "conv2d_dw",
    "conv2d_dx",
    "cross_entropy",
    "divide",
    "exp",
    "flatten",
    "getitem",
    "leaky_relu",
    "log",
    "log_softmax",
    "logsumexp",
    "matmul",
    "max",
    "max_pool2d",
    "maximum",
    "mean",
    "min",
    "minimum",
    "move",
    "multiply",
    "negative",
    "pad",
    "power",
    "put_along",
    "relu",
    "reshape",
    "scale_shift",
    "scatter",
    "sigmoid",
    "sign",
    "softmax",
    "sqrt",
    "stack",
    "subtract",
    "sum",
    "take",
    "take_along",
    "tanh",
    "transpose",
    "var",
    "where",
]
