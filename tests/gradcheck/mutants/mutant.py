"""How a mutant is declared."""

from dataclasses import dataclass

from minires.engine import op


@dataclass(frozen=True)
class Mutant:
    """A function with a wrong gradient, and inputs that show it.

    `told` is a regular expression: what may be said of it first, going by what is broken.
    """

    number: int
    name: str
    misconception: str
    told: str
    function: object
    inputs: tuple

    def __str__(self):
        return f"{self.number} {self.name}"


MUTANTS = []
RIGHT = {}  # by subject: the same forward with the right rule, and its inputs


def operation(forward, rule):
    """An operation of these two functions."""
    made = op(forward)
    made.vjp(rule)
    return made


class Subject:
    """A forward with inputs; `right` and `mutant` decorate rules for it."""

    def __init__(self, name, forward, *inputs):
        self.name, self.forward, self.inputs = name, forward, inputs

    def right(self, rule):
        """The correct rule."""
        RIGHT[self.name] = operation(self.forward, rule), self.inputs
        return rule

    def mutant(self, number, name, misconception, told, forward=None):
        """A rule with one mistake (or a forward with one)."""

        def declare(rule):
            function = operation(forward or self.forward, rule)
            MUTANTS.append(
                Mutant(number, f"{self.name}: {name}", misconception, told, function, self.inputs)
            )
            return rule

        return declare
