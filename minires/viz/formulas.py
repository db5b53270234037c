"""Each operation's formula and its local derivatives, as a textbook writes them.

`{0}`, `{1}` stand for the arguments, `{out}` for the result, `{g}` for the upstream gradient. A
rule is `local` where the operation works element by element: each gradient is then the upstream
times the local derivative. Otherwise it says as a `whole` what is sent to each argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A forward formula and the derivatives, one for each argument."""

    forward: str
    local: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()


_GREATER = "([{0} ≥ {1}] + [{0} &gt; {1}]) · 0.5"  # half of it where they tie
_LESS = "([{0} ≤ {1}] + [{0} &lt; {1}]) · 0.5"
_EXP, _LOG, _TANH = (f'<span class="rm">{name}</span>' for name in ("exp", "log", "tanh"))

RULES: dict[str, Rule] = {
    "add": Rule("{0} + {1}", ("1", "1")),
    "subtract": Rule("{0} − {1}", ("1", "(−1)")),
    "multiply": Rule("{0} · {1}", ("{1}", "{0}")),
    "divide": Rule("{0} / {1}", ("1 / {1}", "(−{0} / {1}<sup>2</sup>)")),
    "negative": Rule("−{0}", ("(−1)",)),
    "power": Rule(
        "{0}<sup>{1}</sup>",
        ("{1} · {0}<sup>{1} − 1</sup>", f"{{0}}<sup>{{1}}</sup> · {_LOG} {{0}}"),
    ),
    "exp": Rule(f"{_EXP}({{0}})", ("{out}",)),
    "erf": Rule("erf({0})", (f"2 / √<i>π</i> · {_EXP}(−{{0}}<sup>2</sup>)",)),
    "log": Rule(f"{_LOG}({{0}})", ("1 / {0}",)),
    "sqrt": Rule("√{0}", ("1 / (2 · {out})",)),
    "absolute": Rule("|{0}|", ("sign({0})",)),
    "sign": Rule("sign({0})", ("0",)),
    "maximum": Rule("max({0}, {1})", (_GREATER, _LESS)),
    "minimum": Rule("min({0}, {1})", (_LESS, _GREATER)),
    "where": Rule("{1} where {0}, else {2}", ("0", "[{0}]", "[not {0}]")),
    "clip": Rule("clip({0})", ("[inside the bounds]",)),
    "astype": Rule("{0}, in another dtype", ("1",)),
    "relu": Rule("max({0}, 0)", ("[{0} &gt; 0]",)),
    "leaky_relu": Rule("leaky ReLU({0})", ("[1 where {0} &gt; 0, else the slope]",)),
    "sigmoid": Rule("<i>σ</i>({0})", ("{out} · (1 − {out})",)),
    "tanh": Rule(f"{_TANH}({{0}})", ("(1 − {out}<sup>2</sup>)",)),
    "softmax": Rule("softmax({0})", whole=("{out} ⊙ ({g} − Σ {g} ⊙ {out})",)),
    "log_softmax": Rule("log softmax({0})", whole=("{g} − exp({out}) · Σ {g}",)),
    "matmul": Rule("{0} {1}", whole=("{g} {1}<sup>T</sup>", "{0}<sup>T</sup> {g}")),
    "sum": Rule("Σ {0}", whole=("{g}, copied to every summand",)),
    "mean": Rule("mean of {0}", whole=("{g} / {n}, copied to every summand",)),
    "var": Rule("variance of {0}", whole=("{g} · 2 ({0} − mean of {0}) / {n}",)),
    "std": Rule("standard deviation of {0}", whole=("{g} · ({0} − mean of {0}) / ({n} · {out})",)),
    "logsumexp": Rule("log Σ exp({0})", whole=("{g} · softmax({0})",)),
    "broadcast_to": Rule("{0}, stretched", whole=("{g}, summed over the stretched axes",)),
    "take_along": Rule(
        "picked from {0}", whole=("{g}, put back where it was picked; 0 elsewhere",)
    ),
    "take": Rule("part of {0}", whole=("{g}, put back in its place; 0 elsewhere",)),
    "scatter": Rule("{0}, put into zeros", whole=("{g}, read at those places",)),
    "reshape": Rule("{0}, reshaped", whole=("{g}, reshaped back",)),
    "transpose": Rule("{0}<sup>T</sup>", whole=("{g}<sup>T</sup>",)),
    "pad": Rule("{0}, padded", whole=("{g}, cropped",)),
    "binary_cross_entropy": Rule(
        "binary cross-entropy of {0}", whole=("{g} · ({0} − target) / ({0} · (1 − {0}))",)
    ),
    "cross_entropy": Rule("cross-entropy of {0}", whole=("{g} · (softmax({0}) − target)",)),
    "conv2d": Rule(
        "{0} ∗ {1}",
        whole=(
            "each entry of {g} times the kernel {1}, added where its window was",
            "each window of {0} times its entry of {g}, summed",
        ),
    ),
    "conv2d_dx": Rule(
        "{0} ∗<sup>T</sup> {1}",
        whole=(
            "the convolution of {g} with {1}",
            "each window of {g} times its entry of {0}, summed",
        ),
    ),
    "batch_norm": Rule(
        "batch norm of {0}",
        whole=(
            "<i>γ/σ</i> · ({g} less its mean, less its part along the normalised {0})",
            "Σ {g} ⊙ the normalised {0}",
            "Σ {g}",
        ),
    ),
    "scale_shift": Rule("{0} · {1} + {2}", ("{1}", "{0}", "1")),
    "max_pool2d": Rule("max pooling of {0}", whole=("{g}, sent to each window's maximum",)),
    "avg_pool2d": Rule("mean pooling of {0}", whole=("{g}, spread evenly over each window",)),
    "move": Rule("{0}, on another device", whole=("{g}, moved back",)),
}


def forward_formula(op: str, arguments: Sequence[str]) -> str:
    """The operation on these arguments (pieces of HTML); a call where no formula is known."""
    rule = RULES.get(op)
    if rule is None or len(arguments) < rule.forward.count("{"):
        return f"{op}({', '.join(arguments)})"
    return rule.forward.format(*arguments)


def local_formula(op: str, argument: int, arguments: Sequence[str], out: str) -> str:
    """The local derivative by one argument; empty where the operation is not element by element."""
    rule = RULES.get(op)
    if rule is None or not rule.local:
        return ""
    return rule.local[argument].format(*arguments, out=out)


def whole_formula(
    op: str, argument: int, arguments: Sequence[str], out: str, g: str, count: int
) -> str:
    """What the rule sends to one argument, in terms of the upstream gradient `g`."""
    rule = RULES.get(op)
    if rule is None or not rule.whole:
        return f"what {op}’s rule gives for {g}"
    return rule.whole[argument].format(*arguments, out=out, g=g, n=count)
