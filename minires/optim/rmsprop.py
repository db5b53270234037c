"""RMSprop: steps scaled by the gradient's recent size."""

from __future__ import annotations

from typing import Any, ClassVar

from minires.backend import Array, xp_of
from minires.kernels.machinery.workspace import scratch
from minires.optim.one_launch import Item, Remembered
from minires.optim.optimizer import Optimizer, Parameters, ParamGroup, State
from minires.optim.options import flag, number
from minires.optim.pieces import by_pieces


class RMSprop(Optimizer):
    r"""RMSprop: the gradient divided by the root of a running mean of its square.

    At step :math:`t`, with learning rate :math:`\gamma`, momentum :math:`\mu` and weight decay
    :math:`\lambda`:

    .. math::
        d_t &= g_t + \lambda \theta_{t-1} \\
        v_t &= \alpha v_{t-1} + (1 - \alpha) d_t^2 \\
        a_t &= \alpha a_{t-1} + (1 - \alpha) d_t \;\text{if centred, else}\; 0 \\
        s_t &= d_t / (\sqrt{v_t - a_t^2} + \epsilon) \\
        b_t &= \mu b_{t-1} + s_t \\
        \theta_t &= \theta_{t-1} - \gamma b_t

    :math:`v`, :math:`a` and :math:`b` start at 0.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters, or groups of them (see `Optimizer`).
    lr : float
        Learning rate, >= 0.
    alpha : float
        Decay rate of the running means, >= 0 and < 1.
    eps : float
        Keeps the divisor from 0; >= 0.
    weight_decay : float
        Factor of the L2 penalty :math:`\frac{\lambda}{2} \lVert\theta\rVert^2`, >= 0.
    momentum : float
        Share of the last step that a step keeps, >= 0.
    centered : bool
        Divide by the gradient's standard deviation instead of its root mean square.

    Raises
    ------
    TypeError, ValueError
        For an option out of range, and as in `Optimizer`.

    References
    ----------
    T. Tieleman and G. Hinton, lecture 6.5 of *Neural networks for machine learning*, 2012.
    A. Graves, *Generating sequences with recurrent neural networks*, arXiv 1308.0850, 2013, for the
    centred form with momentum (there with :math:`\epsilon` under the root).
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        options = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
        }
        super().__init__(params, options)

    def check_options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": number("lr", options["lr"]),
            "alpha": number("alpha", options["alpha"], "[0, 1)"),
            "eps": number("eps", options["eps"]),
            "weight_decay": number("weight_decay", options["weight_decay"]),
            "momentum": number("momentum", options["momentum"]),
            "centered": flag("centered", options["centered"]),
        }

    kernel: ClassVar[str] = "rmsprop"

    def _described(self, item: Item) -> tuple[Remembered, tuple[float, ...]]:
        x, _, state, group = item
        arrays = (
            self.buffer("square_avg", x, state),
            self.buffer("grad_avg", x, state) if group["centered"] else None,
            self.buffer("momentum_buffer", x, state) if group["momentum"] else None,
        )
        alpha = group["alpha"]
        options = (group[key] for key in ("eps", "weight_decay", "momentum"))
        return arrays, tuple(map(float, (group["lr"], alpha, 1 - alpha, *options)))

    @by_pieces
    def update(self, x: Array, grad: Array, state: State, group: ParamGroup) -> None:
        xp = xp_of(x, grad)
        term = scratch(xp, "step", x.shape, x.dtype)
        alpha = group["alpha"]
        grad = self.with_weight_decay(x, grad, group)

        square = self.buffer("square_avg", x, state)
        square *= alpha
        xp.multiply(grad, grad, out=term)
        term *= 1 - alpha
        square += term

        if group["centered"]:
            mean = self.buffer("grad_avg", x, state)
            mean *= alpha
            mean += xp.multiply(grad, 1 - alpha, out=term)
            xp.multiply(mean, mean, out=term)
            xp.subtract(square, term, out=term)
            # A variance of 0, of a gradient that stays the same, may come out as -1e-9.
            xp.maximum(term, 0, out=term)
            xp.sqrt(term, out=term)
        else:
            xp.sqrt(square, out=term)
        term += group["eps"]
        xp.divide(grad, term, out=term)

        if group["momentum"]:
            velocity = self.buffer("momentum_buffer", x, state)
            velocity *= group["momentum"]
            velocity += term
            xp.multiply(velocity, group["lr"], out=term)
        else:
            term *= group["lr"]
        x -= term
