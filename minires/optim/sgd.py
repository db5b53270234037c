"""Stochastic gradient descent, with momentum in its three usual forms."""

from __future__ import annotations

from typing import Any, ClassVar

from minires.backend import Array, xp_of
from minires.kernels.machinery.elementwise_kernel import fused
from minires.kernels.machinery.workspace import scratch
from minires.optim.one_launch import Item, Remembered
from minires.optim.optimizer import Optimizer, Parameters, ParamGroup, State
from minires.optim.options import flag, number
from minires.optim.pieces import by_pieces

_INPUTS = "G grad, T decay, T momentum, T kept, bool nesterov, T lr"
_BODY = """
    T direction = grad + decay * x;
    velocity = momentum * velocity + kept * direction;
    x -= lr * (nesterov ? direction + momentum * velocity : velocity);
"""
"""`SGD.update` from the second step on, in one launch on a GPU."""


class SGD(Optimizer):
    r"""Stochastic gradient descent.

    At step :math:`t`, for each parameter :math:`\theta` with gradient :math:`g_t`, learning rate
    :math:`\gamma`, momentum :math:`\mu`, dampening :math:`\tau` and weight decay :math:`\lambda`:

    .. math::
        d_t &= g_t + \lambda \theta_{t-1} \\
        v_t &= \mu v_{t-1} + (1 - \tau) d_t, \qquad v_1 = d_1 \\
        s_t &= d_t + \mu v_t \;\text{with Nesterov's momentum, else}\; v_t \\
        \theta_t &= \theta_{t-1} - \gamma s_t

    Without momentum, :math:`s_t = d_t`. The learning rate multiplies the velocity :math:`v_t`
    instead of being part of it, so a change of rate acts at once on all of it.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters, or groups of them (see `Optimizer`).
    lr : float
        Learning rate, >= 0.
    momentum : float
        Share of the velocity that a step keeps, >= 0; 0 means that there is none.
    dampening : float
        Share of the gradient that the velocity does not take up. It must be 0 with `nesterov`.
    weight_decay : float
        Factor of the L2 penalty :math:`\frac{\lambda}{2} \lVert\theta\rVert^2`, >= 0.
    nesterov : bool
        Look ahead along the velocity; needs a momentum.

    Raises
    ------
    TypeError, ValueError
        For an option out of range, for Nesterov's momentum without momentum or with dampening, and
        as in `Optimizer`.

    References
    ----------
    B. Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964.
    I. Sutskever, J. Martens, G. Dahl and G. Hinton, *On the importance of initialization and
    momentum in deep learning*, ICML 2013: momentum in equations 1 and 2, Nesterov's in 3 and 4
    (there the rate is part of the velocity, and :math:`\theta` is the point before the look ahead;
    this form, PyTorch's, keeps the point after it).
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(params, options)

    kernel: ClassVar[str] = "sgd"

    def _described(self, item: Item) -> tuple[Remembered, tuple[float, ...]] | None:
        group, velocity = item.group, item.state.get("momentum_buffer")
        if group["momentum"] and velocity is None:  # the first step makes it
            return None
        velocity = velocity if group["momentum"] else None
        lr, momentum, decay = (float(group[key]) for key in ("lr", "momentum", "weight_decay"))
        numbers = lr, momentum, float(1 - group["dampening"]), decay, int(group["nesterov"])
        return (velocity, None, None), numbers

    def check_options(self, options: dict[str, Any]) -> dict[str, Any]:
        checked = {
            "lr": number("lr", options["lr"]),
            "momentum": number("momentum", options["momentum"]),
            "dampening": number("dampening", options["dampening"]),
            "weight_decay": number("weight_decay", options["weight_decay"]),
            "nesterov": flag("nesterov", options["nesterov"]),
        }
        if checked["nesterov"] and (checked["momentum"] == 0 or checked["dampening"] != 0):
            raise ValueError(
                "nesterov=True needs momentum > 0 and dampening = 0, got "
                f"momentum={options['momentum']!r}, dampening={options['dampening']!r}"
            )
        return checked

    @by_pieces
    def update(self, x: Array, grad: Array, state: State, group: ParamGroup) -> None:
        xp = xp_of(x, grad)
        kernel = fused(xp, _INPUTS, "T x, T velocity", _BODY)
        if kernel is not None and "momentum_buffer" in state:
            decay, momentum, lr = (group[key] for key in ("weight_decay", "momentum", "lr"))
            kept, nesterov = 1 - group["dampening"], group["nesterov"]
            kernel(grad, decay, momentum, kept, nesterov, lr, x, state["momentum_buffer"])
            return
        step = scratch(xp, "step", x.shape, x.dtype)
        direction = self.with_weight_decay(x, grad, group)

        momentum = group["momentum"]
        if momentum:
            velocity = self.kept("momentum_buffer", x, state)
            if velocity is None:
                velocity = state["momentum_buffer"] = direction.astype(x.dtype)  # a copy
            else:
                velocity *= momentum
                if group["dampening"]:
                    velocity += xp.multiply(direction, 1 - group["dampening"], out=step)
                else:
                    velocity += direction
            if group["nesterov"]:
                xp.multiply(velocity, momentum, out=step)
                step += direction
                direction = step
            else:
                direction = velocity

        x -= xp.multiply(direction, group["lr"], out=step)
