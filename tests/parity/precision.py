"""How far float32 results are from the exact ones, here and in PyTorch."""

import numpy as np

HALF_ULP = 2.0**-24
"""The error of rounding a result to float32: nobody is asked to be nearer to it than this."""

FACTOR = 2.0
"""No gradient's error may be more than so many times PyTorch's."""


class Errors:
    """Root mean squares of relative errors, by name, over any number of cases and draws.

    The error of an array is |got - exact| / |exact| in the Euclidean norm, so that cancellation in
    single elements does not count as if it were the rule. Squares are added over a case's draws
    before they are divided, for the same reason, and averaged over cases: one small array is luck.
    """

    def __init__(self) -> None:
        self.squares: dict[str, dict[str, np.ndarray]] = {}

    def note(self, name, ours, theirs, exact, case=""):
        """The same array three times: from this library and PyTorch in float32, and in float64."""
        ours, theirs, exact = (np.asarray(a, np.float64) for a in (ours, theirs, exact))
        sums = [((ours - exact) ** 2).sum(), ((theirs - exact) ** 2).sum(), (exact**2).sum()]
        of_name = self.squares.setdefault(name, {})
        of_name[case] = of_name.get(case, 0) + np.array(sums)

    def found(self):
        """For each name this library's error, PyTorch's, and their ratio as it is judged."""
        for name, cases in self.squares.items():
            relative = [sums[:2] / sums[2] for sums in cases.values() if sums[2] > 0]
            ours, theirs = np.sqrt(np.mean(relative, axis=0)) if relative else (0.0, 0.0)
            yield name, ours, theirs, ours / max(theirs, HALF_ULP)

    def assert_no_worse(self, factor=FACTOR):
        wrong = [
            f"{name}: {ours:.1e}, PyTorch {theirs:.1e}"
            for name, ours, theirs, ratio in self.found()
            if not ratio <= factor
        ]
        assert wrong == []
