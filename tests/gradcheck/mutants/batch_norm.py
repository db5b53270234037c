"""18 to 30: batch normalisation."""

import numpy as np
from helpers import normal, positive

from mutants.mutant import Subject

EPS = 1e-3
X, GAMMA, BETA = normal(6, 4) * 0.5 + 3, positive(4), normal(4)


def forward(x, gamma, beta):
    """Per column."""
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + EPS) + beta


def statistics(x, inverse=None):
    """1 / sqrt(var + eps) and the normalised values."""
    inverse = 1 / np.sqrt(x.var(0) + EPS) if inverse is None else inverse
    return inverse, (x - x.mean(0)) * inverse


def input_gradient(dxhat, xhat, inverse, mean=np.mean, mean_hat=np.mean, sign=1):
    """The direct path, less what goes through the mean, less what goes through the variance."""
    return inverse * (dxhat - mean(dxhat, axis=0) - sign * xhat * mean_hat(dxhat * xhat, axis=0))


def nothing(values, axis):
    return 0 * values.mean(axis)


norm = Subject("batch norm", forward, X, GAMMA, BETA)


def declare(
    number, name, misconception, told, *, dxhat=None, dgamma=None, dbeta=None, inverse=None, **k
):
    """A mutant that differs from the right rule in one piece."""

    @norm.mutant(number, name, misconception, told)
    def rule(g, x, gamma, beta):
        inv, xhat = statistics(x, inverse(x) if inverse else None)
        upstream = dxhat(g, gamma) if dxhat else g * gamma
        return (
            input_gradient(upstream, xhat, inv, **k),
            dgamma(g, x, gamma * xhat + beta, xhat) if dgamma else (g * xhat).sum(0),
            dbeta(g) if dbeta else g.sum(0),
        )


@norm.right
def right(g, x, gamma):
    inverse, xhat = statistics(x)
    return input_gradient(g * gamma, xhat, inverse), (g * xhat).sum(0), g.sum(0)


declare(18, "mean dropped", "x also changes the mean", r"along axes \(0,\).*a mean", mean=nothing)
declare(
    19,
    "variance dropped",
    "x also changes the variance",
    r"along axes \(0,\).*variance",
    mean_hat=nothing,
)
declare(
    20,
    "statistics constant",
    "as in evaluation",
    r"along axes \(0,\).*variance",
    mean=nothing,
    mean_hat=nothing,
)
declare(21, "gamma missing", "hidden while gamma is 1", "/ gamma", dxhat=lambda g, gamma: g)
declare(
    22,
    "gamma twice",
    "applied before and after",
    r"\* gamma",
    dxhat=lambda g, gamma: g * gamma * gamma,
)
declare(
    23,
    "dgamma uses x",
    "x in place of xhat",
    "before or after a normalisation",
    dgamma=lambda g, x, out, xhat: (g * x).sum(0),
)
declare(
    24,
    "dgamma uses the output",
    "out for xhat",
    "before or after a normalisation",
    dgamma=lambda g, x, out, xhat: (g * out).sum(0),
)
declare(
    25,
    "dgamma and dbeta averaged",
    "means in place of sums",
    "factor of 1/6",
    dgamma=lambda g, x, out, xhat: (g * xhat).mean(0),
    dbeta=lambda g: g.mean(0),
)
declare(
    26,
    "N - 1",
    "the unbiased variance in the backward only",
    r"along axes \(0,\).*variance",
    mean_hat=lambda v, axis: v.sum(axis) / (len(v) - 1),
)
declare(
    27,
    "1/N missing",
    "sums in place of means",
    r"along axes \(0,\).*a mean",
    mean=np.sum,
    mean_hat=np.sum,
)
declare(
    28,
    "a sign",
    "plus for minus before the variance's term",
    r"along axes \(0,\).*variance",
    sign=-1,
)
declare(
    29,
    "eps outside the root",
    "sqrt(var) + eps",
    r"along axes \(0,\).*(variance|norm)",
    inverse=lambda x: 1 / (x.std(0) + EPS),
)
declare(
    30,
    "eps omitted",
    "the backward without eps",
    r"along axes \(0,\).*(variance|norm)",
    inverse=lambda x: 1 / x.std(0),
)
