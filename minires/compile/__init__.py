"""A network as a straight list of steps: recorded once, rewritten, run many times.

To read in this order:

- `minires.model_recording`: the operations that a model runs on an example, as a list;
- `steps`: that list with everything computed that does not depend on the input;
- `rewrites`: batch norm folded into weights, bias, residual and ReLU joined to a convolution;
- `memory`: values that are never needed at the same time share a buffer;
- `walk`: the steps as calls on arrays that are there already;
- `variant`: a plan for inputs of certain shapes, verified against the model;
- `plan`: `compile`, and the plan that it gives.

How a convolution is computed whose weights are constant, and what is done to its blocks while they
are in the cache, is in `kernels.convolution.constant_weights` and `kernels.machinery.epilogue`.
"""

from minires.compile.plan import Plan, StaleError, compile
from minires.model_recording import RecordingError

__all__ = ["Plan", "RecordingError", "StaleError", "compile"]
