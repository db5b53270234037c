"""The optimisers once more, one number at a time, straight from the formulas in their papers.

Each function follows a single number `x` through a list of gradients (None: no gradient at that
step) and learning rates, and returns its value after every step.
"""

import math


def sgd(
    x, gradients, rates, *, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False
):  # fmt: skip
    path, velocity = [], None
    for g, lr in zip(gradients, rates, strict=True):
        if g is not None:
            d = g + weight_decay * x
            if momentum != 0:
                velocity = d if velocity is None else momentum * velocity + (1 - dampening) * d
                d = d + momentum * velocity if nesterov else velocity
            x = x - lr * d
        path.append(x)
    return path


def adam(
    x,
    gradients,
    rates,
    *,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    decoupled=False,
    amsgrad=False,
):
    path, m, v, t, largest = [], 0.0, 0.0, 0, 0.0
    for g, lr in zip(gradients, rates, strict=True):
        if g is not None:
            t += 1
            if decoupled:
                x = x - lr * weight_decay * x
            else:
                g = g + weight_decay * x
            m = betas[0] * m + (1 - betas[0]) * g
            v = betas[1] * v + (1 - betas[1]) * g**2
            m_hat = m / (1 - betas[0] ** t)
            largest = max(largest, v) if amsgrad else v
            v_hat = largest / (1 - betas[1] ** t)
            x = x - lr * m_hat / (math.sqrt(v_hat) + eps)
        path.append(x)
    return path


def adamw(x, gradients, rates, *, weight_decay=0.01, **options):
    return adam(x, gradients, rates, weight_decay=weight_decay, decoupled=True, **options)


def rmsprop(
    x, gradients, rates, *, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False
):  # fmt: skip
    path, square, mean, step = [], 0.0, 0.0, 0.0
    for g, lr in zip(gradients, rates, strict=True):
        if g is not None:
            g = g + weight_decay * x
            square = alpha * square + (1 - alpha) * g**2
            mean = alpha * mean + (1 - alpha) * g
            variance = square - mean**2 if centered else square
            step = momentum * step + g / (math.sqrt(variance) + eps)
            x = x - lr * step
        path.append(x)
    return path
