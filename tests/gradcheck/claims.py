"""What a report claims of arrays, measured again by other means than gradcheck's.

Gradients come from `minires.grad`, with an upstream gradient of their own; numerical ones from
plain central differences of every output entry.
"""

import functools
import re
from fractions import Fraction

import numpy as np

from minires import Tensor, grad
from minires.grad_mode import no_grad
from minires.gradcheck.subject import Subject

STEP = 1e-6


def untrue(report, function, inputs):
    """The claims that do not hold, and those that nobody has told this module how to check."""
    subject = Subject(function, inputs)
    found = []
    with subject.surroundings:
        for c in report.comparisons:
            if c.hint and c.order == 1 and not c.passed:
                look = Look(subject, c.output, c.input, c.analytic, c.numeric)
                found += [] if _holds(c.hint, look) else [f"{c.output} by {c.input}: {c.hint}"]
        for text in report.problems:
            if named := re.match(r"order 1: the gradient of the (.*?) by (\S+?):? ", text):
                found += [] if _holds(text, Look(subject, *named.groups())) else [text]
    return found


def _holds(text, look):
    if text.startswith(prefix := f"d output / d {look.input}, entry by entry: "):
        text, look = text.removeprefix(prefix), look.taken_apart
    for pattern, check in CLAIMS.items():
        if match := re.search(pattern, text):
            return bool(check(look, *match.groups()))
    return False


CLAIMS = {}


def claim(pattern):
    def declare(check):
        CLAIMS[pattern] = check
        return check

    return declare


class Look:
    """Analytic `a` and numeric `n`, and what can be measured of their function."""

    def __init__(self, subject, output, input, a=None, n=None, axes=None):
        self.subject, self.output, self.input, self.a, self.n = subject, output, input, a, n
        self.problem = subject.problem()
        self.j = self.problem.inputs.index(input)
        self.axes = axes
        if a is not None:
            self.scale = max(abs(n).max(initial=0), abs(a).max(initial=0) / 1000)
            # a hint may be about errors of 1 in 10,000, but not of less
            self.wrong = abs(a - n) > min(1e-5 * self.scale, abs(a - n).max() / 9)

    def outs(self, tensors):
        outs = self.problem.call(tensors)
        return outs, self.problem.name_outputs().index(self.output)

    def point(self, requires_grad=False):
        return [Tensor(x.copy(), requires_grad=requires_grad) for x in self.problem.point]

    @functools.cached_property
    def value(self):
        outs, i = self.outs(self.point())
        return outs[i].numpy()

    def gradient(self, v):
        leaves = self.point(requires_grad=True)
        outs, i = self.outs(leaves)
        g = grad(outs[i], leaves, Tensor(np.asarray(v)))[self.j]
        return np.zeros(leaves[self.j].shape) if g is None else g.numpy()

    @functools.cached_property
    def v(self):
        return np.random.default_rng(5).normal(size=self.value.shape)

    def differences(self, j):
        """d output / d input j, (*output, *input), and where one-sided slopes disagree."""
        x = self.problem.point[j]
        shape = self.value.shape
        slopes, kinks = np.zeros((*shape, *x.shape)), np.zeros((*shape, *x.shape), bool)
        for index in np.ndindex(x.shape):
            sides = []
            for t in (STEP, -STEP):
                arrays = [a.copy() for a in self.problem.point]
                arrays[j][index] += t
                with no_grad():
                    outs, i = self.outs([Tensor(a) for a in arrays])
                sides.append((outs[i].numpy() - self.value) / t)
            slopes[(..., *index)] = (sides[0] + sides[1]) / 2
            kinks[(..., *index)] = abs(sides[0] - sides[1]) > 1e-3
        return slopes, kinks

    @functools.cached_property
    def taken_apart(self):
        n, kinks = self.differences(self.j)
        rows = []
        for index in np.ndindex(self.value.shape):
            unit = np.zeros(self.value.shape)
            unit[index] = 1
            rows.append(self.gradient(unit))
        a = np.array(rows).reshape(n.shape)
        out, own = self.value.ndim, n.ndim - self.value.ndim
        axes = {f"axis {k} of the output": k for k in range(out)}
        axes |= {f"axis {k} of {self.input}": out + k for k in range(own)}
        return Look(self.subject, self.output, self.input, a, np.where(kinks, a, n), axes)

    def axis(self, name):
        return int(name.removeprefix("axis ")) if self.axes is None else self.axes[name]

    def same(self, a, b):
        return (abs(a - b) <= 1e-3 * self.scale).all()

    def other(self, name):
        """The numeric gradient for `v` with respect to an input of that name."""
        slopes, _ = self.differences(self.problem.inputs.index(name))
        return np.tensordot(self.v, slopes, self.v.ndim)


def _tuple(text):
    return tuple(int(t) for t in re.findall(r"-?\d+", text))


# ---------------------------------------------------------------------- the whole gradient

claim("gave no gradient|zero everywhere")(lambda k: not k.a.any() and k.n.any())
claim("the gradient should be zero")(lambda k: abs(k.n).max() < 1e-6 and k.a.any())
claim("the sign is wrong")(lambda k: k.same(k.a, -k.n) and k.n.any())
claim(r"off by a factor.*?analytic = (\S+) \* numeric")(
    lambda k, factor: k.same(k.a, float(Fraction(factor)) * k.n) and k.wrong.any()
)
claim("passed on unchanged")(lambda k: np.allclose(k.gradient(k.v), k.v))
claim(r"numeric gradient with respect to (\S+) is: exchanged")(
    lambda k, name: np.allclose(k.gradient(k.v), k.other(name), atol=1e-5)
)


@claim(r"adds up, over broadcast axes, to what the numeric gradient with respect to (\S+) does")
def exchanged_sums(k, name):
    """Where two inputs are broadcast against each other, what is left are the axes of both."""
    a, n = k.gradient(k.v), k.other(name)
    a, n = (m.reshape((1,) * (k.v.ndim - m.ndim) + m.shape) for m in (a, n))
    for i, (one, other) in enumerate(zip(a.shape, n.shape, strict=True)):
        if one != other:
            a, n = a.sum(i, keepdims=True), n.sum(i, keepdims=True)
    return np.allclose(a, n, rtol=1e-5, atol=1e-7)


claim(r"transposed: .* in the order (\(.*?\))")(
    lambda k, axes: k.same(k.a, k.n.transpose(_tuple(axes)))
)
claim(r"back to front along axes (\(.*?\))")(
    lambda k, axes: k.same(k.a, np.flip(k.n, _tuple(axes)))
)


@claim(
    r"shifted by (\(.*?\)|\d+) along ax[ie]s (\(.*?\)|\d+)(?:: analytic\[i\] = numeric\[i ([+-]))?"
)
def shifted(k, by, axes, sign):
    a, n = k.a, k.n
    for b, axis in zip(_tuple(by), _tuple(axes), strict=True):
        b = -b if sign == "-" else b
        a, n = np.moveaxis(a, axis, 0), np.moveaxis(n, axis, 0)
        a, n = (a[:-b], n[b:]) if b > 0 else (a[-b:], n[:b])
        a, n = np.moveaxis(a, 0, axis), np.moveaxis(n, 0, axis)
    return k.same(a, n)


@claim(r"off by another factor at each index of axis (\d+)")
def by_index(k, axis):
    a, n = (np.moveaxis(m, int(axis), 0).reshape(m.shape[int(axis)], -1) for m in (k.a, k.n))
    factors = (a * n).sum(1) / (n * n).sum(1)
    return k.same(a, factors[:, None] * n) and np.ptp(factors) > 0


@claim(
    r"^analytic( - numeric)? = ([^(]*?|.*?\)) ?"
    r"(?:\(.* is the .*\))?: a (?:factor|term) forgotten, or"
)
def formula(k, minus, text):
    """With another upstream gradient than the report's."""
    if k.a.size and not text.startswith("numeric +") and not text.startswith("numeric -"):
        slopes, _ = k.differences(k.j)
        a, n = k.gradient(k.v), np.tensordot(k.v, slopes, k.v.ndim)
        names = dict(zip(k.problem.inputs, k.problem.point, strict=True))
        names |= {"numeric": n, "out": k.value, "g": k.v, "sqrt": np.sqrt, "__builtins__": {}}
        wanted = eval(text, names)
        return np.allclose(a - n if minus else a, wanted, rtol=1e-3, atol=1e-5)
    return False


@claim(r"error is the same all along axes (\(.*?\))")
def offset(k, axes):
    error = k.a - k.n
    return k.same(error, error.mean(_tuple(axes), keepdims=True)) and k.wrong.any()


@claim(r"along axes (\(.*?\)) the error is c \+ d \* x( \+ e \* g)?")
def regression(k, axes, with_g):
    axes, x = _tuple(axes), k.problem.point[k.j]
    n = np.tensordot(k.v, k.differences(k.j)[0], k.v.ndim)
    error = k.gradient(k.v) - n
    terms = [error, np.ones(x.shape), x] + ([k.v] if with_g else [])
    length = int(np.prod([x.shape[i] for i in axes]))
    error, *terms = (np.moveaxis(t, axes, range(len(axes))).reshape(length, -1) for t in terms)
    for column in range(error.shape[1]):
        matrix, wanted = np.stack([t[:, column] for t in terms], 1), error[:, column]
        fitted = matrix @ np.linalg.lstsq(matrix, wanted, rcond=None)[0]
        if abs(fitted - wanted).max() > 1e-4 * abs(n).max():
            return False
    return length > len(terms)


claim(r"numeric gradient adds up to 0 along axis (\d+), the analytic one does not")(
    lambda k, axis: k.same(k.n.sum(int(axis)), 0) and not k.same(k.a.sum(int(axis)), 0)
)
claim(r"constant along axes (\(.*?\)), where")(
    lambda k, axes: (
        k.same(k.a, k.a.mean(_tuple(axes), keepdims=True))
        and not k.same(k.n, k.n.mean(_tuple(axes), keepdims=True))
    )
)

# ---------------------------------------------------------------------- places


@claim(r"right only at (index .*?), zero at the others")
def used(k, places):
    inside = np.ones(k.a.shape, bool)
    for index, name in re.findall(r"index (\d+) of (.*?)(?: and |$)", places):
        here = np.zeros(k.a.shape[k.axis(name)], bool)
        here[int(index)] = True
        shape = [-1 if i == k.axis(name) else 1 for i in range(k.a.ndim)]
        inside &= here.reshape(shape)
    right = ~k.wrong & (abs(k.n) > 1e-5 * k.scale)
    return k.same(k.a[~inside], 0) and k.wrong[~inside].any() and right.any()


def at(k, place):
    """Whether what is wrong is at this place, and no more than this."""
    if found := re.match(r"at (\d+) of (\d+)", place):
        count, size = map(int, found.groups())
        return size != k.a.size or k.wrong.sum() == count  # of many outputs some are looked at
    if place.startswith("only at ["):
        return [list(index) for index in np.argwhere(k.wrong)] == [list(_tuple(place))]
    if found := re.match(r"only at index (\d+) of (axis \d+(?: of \S+(?: output)?)?)", place):
        where = np.argwhere(k.wrong)[:, k.axis(found[2])]
        return set(where) == {int(found[1])}
    if found := re.match(r"at just one entry along (.*) each", place):
        return (k.wrong.sum(k.axis(found[1])) == 1).all()
    axes = _tuple(re.match(r"only at the border, the ends of axes (\(.*?\))", place)[1])
    inside = tuple(slice(1, -1) if i in axes else slice(None) for i in range(k.a.ndim))
    return not k.wrong[inside].any()


PLACE = r"((?:only )?at .*?)"
claim(rf"^zero {PLACE}, where the numeric gradient is not")(
    lambda k, place: (
        k.same(k.a[k.wrong], 0) and not (abs(k.n[k.wrong]) < 1e-9 * k.scale).any() and at(k, place)
    )
)
claim(rf"the numeric gradient is zero {PLACE}, the analytic one is not")(
    lambda k, place: k.same(k.n[k.wrong], 0) and at(k, place)
)
claim(rf"analytic = (\S+) \* numeric {PLACE}, right at the others")(
    lambda k, factor, place: (
        k.same(k.a[k.wrong], float(Fraction(factor)) * k.n[k.wrong]) and at(k, place)
    )
)
claim(rf"analytic = numeric ([+-]) (\S+) {PLACE}, right at the others")(
    lambda k, sign, by, place: (
        k.same((k.a - k.n)[k.wrong], float(sign + by)) and at(k, place.partition(" (all")[0])
    )
)
claim(rf"(?:^wrong|it differs) {PLACE}(?:: padding.*)?$")(lambda k, place: at(k, place))


@claim(r"right only at index (\d+) of (axis \d+): are the others used")
def right_at(k, index, name):
    others = tuple(i for i in range(k.a.ndim) if i != k.axis(name))
    return [int(index)] == list(np.flatnonzero(~k.wrong.any(axis=others)))


# ---------------------------------------------------------------------- entry by entry


@claim(r"for (\d+) of (\d+) output entries the right numbers at the wrong entries")
def rearranged(k, count, rows):
    size = int(np.prod(k.value.shape))
    a, n = k.a.reshape(size, -1), k.n.reshape(size, -1)
    same = (abs(np.sort(a) - np.sort(n)) < 1e-4 * k.scale).all(1) & (abs(a - n) > 1e-4).any(1)
    return same.sum() == int(count) or (int(rows) < size and same.sum() >= int(count))


@claim(r"(axis \d+ of the output) and (axis \d+ of \S+) exchanged")
def transposed(k, of_output, of_input):
    return k.same(k.a, k.n.swapaxes(k.axis(of_output), k.axis(of_input)))


@claim("passes a gradient on to the right entries")
def same_places(k):
    apart = k.taken_apart
    a, n = (abs(m) > 1e-4 * apart.scale for m in (apart.a, apart.n))
    return (a == n).all() and apart.wrong.any()


@claim(r"along axis (\d+) of the output analytic = c \+ d \* numeric")
def rescaled(k, axis):
    a, n = (np.moveaxis(m, int(axis), 0).reshape(m.shape[int(axis)], -1) for m in (k.a, k.n))
    fits = [np.polyfit(n[:, c], a[:, c], 1) for c in range(n.shape[1]) if n[:, c].any()]
    columns = [c for c in range(n.shape[1]) if n[:, c].any()]
    return all(
        k.same(np.polyval(fit, n[:, c]), a[:, c]) for fit, c in zip(fits, columns, strict=True)
    )


@claim(r"output\[(.*?)\] (does not depend|depends) on (\S+)\[(.*?)\]")
def connection(k, out, how, name, entry):
    index = (*_tuple(out), *_tuple(entry))
    apart = k.taken_apart
    a, n = abs(apart.a[index]), abs(apart.n[index])
    zero = 1e-4 * apart.scale
    return n < zero < a if how == "does not depend" else a < zero < n


# ---------------------------------------------------------------------- the upstream gradient

claim("upstream gradient is ignored")(
    lambda k: np.array_equal(k.gradient(k.v), k.gradient(np.cos(k.v))) and k.gradient(k.v).any()
)


@claim(r"computed in (float16|float32)")
def narrow(k, dtype):
    """It, or what it makes of its upstream gradient, has no more digits than that."""
    g, digits = k.gradient(k.v), float(np.finfo(dtype).eps)
    nudged = k.gradient(k.v * (1 + 1e-12))
    smooth = abs(nudged - g * (1 + 1e-12)).max() <= 1e-14 * abs(g).max()
    return not smooth or np.array_equal(g, nudged) or digits > 1


@claim("negated one does not negate")
def odd(k):
    return not np.allclose(k.gradient(-k.v), -k.gradient(k.v))


@claim("where all of that is 0, it is not 0")
def affine(k):
    return k.gradient(0 * k.v).any()


@claim("entries that are 0, negated")
def nonlinear(k):
    g = k.gradient(k.v)
    return any(
        not np.allclose(k.gradient(t * k.v) / t, g, rtol=1e-6) for t in (-1.0, 2.0**40, 2.0**-40)
    ) or not np.allclose(k.gradient(k.v * (k.v > 0)) + k.gradient(k.v * (k.v <= 0)), g)


claim("another if not every input's is wanted")(lambda k: len(k.problem.inputs) > 1)
claim("inputs change the gradient")(lambda k: True)
