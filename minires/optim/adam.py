"""Adam, and AdamW, which decays the weights themselves."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from minires.backend import Array, xp_of
from minires.kernels.machinery.workspace import scratch
from minires.optim.one_launch import Item, Remembered
from minires.optim.optimizer import Optimizer, Parameters, ParamGroup, State
from minires.optim.options import flag, number, pair
from minires.optim.pieces import by_pieces


class Adam(Optimizer):
    r"""Adam: steps scaled by running means of the gradient and of its square.

    At step :math:`t`, with learning rate :math:`\gamma` and weight decay :math:`\lambda`:

    .. math::
        d_t &= g_t + \lambda \theta_{t-1} \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) d_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) d_t^2 \\
        \hat m_t &= m_t / (1 - \beta_1^t) \\
        \hat v_t &= v_t / (1 - \beta_2^t) \\
        \theta_t &= \theta_{t-1} - \gamma \hat m_t / (\sqrt{\hat v_t} + \epsilon)

    Both means start at 0; the hats correct for that. With `amsgrad` the last line divides by the
    largest :math:`v` so far, :math:`\max_{s \le t} v_s / (1 - \beta_2^t)`, which never falls.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters, or groups of them (see `Optimizer`).
    lr : float
        Learning rate, >= 0.
    betas : pair of float
        :math:`\beta_1` and :math:`\beta_2`, each >= 0 and < 1.
    eps : float
        Keeps the divisor from 0; >= 0.
    weight_decay : float
        Factor of the L2 penalty :math:`\frac{\lambda}{2} \lVert\theta\rVert^2`, >= 0. It goes
        through the scaling like the rest of the gradient; see `AdamW`.
    amsgrad : bool
        Divide by the root of the largest running mean of squares so far.

    Raises
    ------
    TypeError, ValueError
        For an option out of range, and as in `Optimizer`.

    References
    ----------
    D. Kingma and J. Ba, *Adam: a method for stochastic optimization*, ICLR 2015, algorithm 1.
    S. Reddi, S. Kale and S. Kumar, *On the convergence of Adam and beyond*, ICLR 2018, algorithm 2
    (`amsgrad`; the correction for the beginning is Kingma and Ba's, as in PyTorch).
    """

    added: ClassVar[dict[str, Any]] = {"amsgrad": False}

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**options, "amsgrad": amsgrad})

    def check_options(self, options: dict[str, Any]) -> dict[str, Any]:
        return {
            "lr": number("lr", options["lr"]),
            "betas": pair("betas", options["betas"], "[0, 1)"),
            "eps": number("eps", options["eps"]),
            "weight_decay": number("weight_decay", options["weight_decay"]),
            "amsgrad": flag("amsgrad", options["amsgrad"]),
        }

    kernel: ClassVar[str] = "adam"

    def _described(self, item: Item) -> tuple[Remembered, tuple[float, ...]]:
        x, _, state, group = item
        (beta1, beta2), lr, decay = group["betas"], group["lr"], group["weight_decay"]
        state["step"] = t = state.get("step", 0) + 1
        largest = self.buffer("max_exp_avg_sq", x, state) if group["amsgrad"] else None
        arrays = self.buffer("exp_avg", x, state), self.buffer("exp_avg_sq", x, state), largest
        c = math.sqrt(1 - beta2**t)  # as in `update`
        weights = (0.0, 1 - lr * decay) if isinstance(self, AdamW) else (decay, 1.0)
        steps = lr * c / (1 - beta1**t), c * group["eps"]
        numbers = beta1, 1 - beta1, beta2, 1 - beta2, *steps, *weights
        return arrays, tuple(map(float, numbers))

    def decay(self, x: Array, grad: Array, group: ParamGroup) -> Array:
        """Apply the weight decay, and return the gradient to go on with."""
        return self.with_weight_decay(x, grad, group)

    @by_pieces
    def update(self, x: Array, grad: Array, state: State, group: ParamGroup) -> None:
        xp = xp_of(x, grad)
        term = scratch(xp, "step", x.shape, x.dtype)
        beta1, beta2 = group["betas"]
        state["step"] = t = state.get("step", 0) + 1
        grad = self.decay(x, grad, group)

        mean = self.buffer("exp_avg", x, state)
        mean *= beta1
        mean += xp.multiply(grad, 1 - beta1, out=term)

        square = self.buffer("exp_avg_sq", x, state)
        square *= beta2
        xp.multiply(grad, grad, out=term)
        term *= 1 - beta2
        square += term
        if group["amsgrad"]:
            largest = self.buffer("max_exp_avg_sq", x, state)
            square = xp.maximum(largest, square, out=largest)

        # The hats divide by scalars, which can move out of the arrays. With c = sqrt(1 - beta2^t),
        #   m / (1 - beta1^t) / (sqrt(v) / c + eps)  =  c / (1 - beta1^t) * m / (sqrt(v) + c eps)
        # and that saves a pass over each of the two (Kingma and Ba, end of section 2).
        c = math.sqrt(1 - beta2**t)
        xp.sqrt(square, out=term)
        term += c * group["eps"]
        xp.divide(mean, term, out=term)
        term *= group["lr"] * c / (1 - beta1**t)
        x -= term


class AdamW(Adam):
    r"""Adam with decoupled weight decay.

    As `Adam` with :math:`d_t = g_t`, but every step first shrinks the weights themselves:

    .. math::
        \theta \leftarrow (1 - \gamma \lambda) \theta_{t-1}

    An L2 penalty would be divided by :math:`\sqrt{\hat v_t}` with the rest of the gradient, so that
    weights with large gradients would hardly decay; here all decay alike.

    Parameters
    ----------
    params, lr, betas, eps
        As in `Adam`.
    weight_decay : float
        :math:`\lambda`, >= 0. Note the default, 0.01.
    amsgrad : bool
        As in `Adam`.

    Raises
    ------
    TypeError, ValueError
        As in `Adam`.

    References
    ----------
    I. Loshchilov and F. Hutter, *Decoupled weight decay regularization*, ICLR 2019, algorithm 2
    (whose schedule multiplier is here part of the learning rate, as in PyTorch).
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)

    kernel: ClassVar[str] = "adam"

    def decay(self, x: Array, grad: Array, group: ParamGroup) -> Array:
        """Shrink the weights; the gradient stays as it is."""
        if group["weight_decay"]:
            x *= 1 - group["lr"] * group["weight_decay"]
        return grad
