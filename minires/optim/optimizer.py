"""What all optimisers share: parameter groups, `zero_grad`, `step`, saving and restoring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

from minires import writes
from minires.backend import Array, device_of, to_device, xp_of
from minires.from_pytorch import KnownKeys, PyTorchsKeywords, no_attribute
from minires.grad_mode import enable_grad
from minires.kernels.machinery.workspace import scratch
from minires.optim.one_launch import Item, Remembered, in_one_launch
from minires.tensors import Tensor

ParamGroup: TypeAlias = dict[str, Any]
"""The key `params` holds a list of tensors; the other keys are options, such as `lr`."""

Parameters: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]]

State: TypeAlias = dict[str, Any]
"""What an optimiser remembers of one parameter: arrays of its shape, and Python integers."""


class _States(list[State]):
    """Of each of the holders, which may stand in the place of their numbers."""

    def __init__(self, states: Iterable[State] = (), holders: Iterable[Tensor] = ()) -> None:
        super().__init__(states)
        self.places = {id(holder): place for place, holder in enumerate(holders)}

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.places[id(key)] if isinstance(key, Tensor) else key)

    def clear(self) -> None:
        """Forget all, in its place."""
        for state in self:
            state.clear()


class _Group(KnownKeys):
    whose = "param_groups"


class Optimizer(PyTorchsKeywords):
    """The base of the optimisers; a subclass says which options it has and how it updates an array.

    Or it has a `step` of its own, as in PyTorch, over `param_groups` and `state[parameter]`.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        The parameters. Or groups of them, each a dict with the tensors under `"params"` and the
        options in which the group differs: `{"params": model.fc.parameters(), "lr": 0.01}`.
    options : dict
        The options of all groups that do not say otherwise.

    Attributes
    ----------
    param_groups : list of dict
        Every group with its tensors under `"params"` and all of its options. They are read at each
        step, so a schedule, or you, may change them between steps.
    state : list of dict
        What is remembered of each parameter, in the order of the parameters.

    Raises
    ------
    TypeError
        If `params` is a single tensor, has no fixed order (a set), or holds something that is
        no tensor of floating-point numbers.
    ValueError
        If there is no parameter, one comes twice, one is no leaf of the graph, or a group has an
        unknown option.

    Notes
    -----
    A step writes into the parameters' own arrays, so everything that shares their memory sees it.
    A parameter without a gradient is passed over, and its state stays as it is. Gradients are read
    only. Nothing is read back from a GPU.
    """

    added: ClassVar[Mapping[str, Any]] = {}
    """Options that states of earlier versions lack, and their values then."""

    def __init__(self, params: Parameters, options: dict[str, Any]) -> None:
        self.defaults = self.check_options(options)
        self.param_groups: list[ParamGroup] = []
        self.state: list[State] = _States()
        self._holders: list[Tensor] = []  # whose state each is

        groups = _as_list(params, "params")
        if not any(isinstance(group, Mapping) for group in groups):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)
        if not self.state:
            raise ValueError(
                f"{type(self).__name__} got no parameters to optimise; a generator such as "
                "model.parameters() is empty once it has been used"
            )

    def check_options(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options of one group as plain Python values; raises if one of them is wrong."""
        return options

    def update(self, x: Array, grad: Array, state: State, group: ParamGroup) -> None:
        """Change the parameter `x` in place, given its gradient (read only) and its own state."""
        raise NotImplementedError(
            f"{type(self).__name__} must define update(self, x, grad, state, group), or a step"
        )

    if not TYPE_CHECKING:  # a type checker knows that an unknown name is wrong

        def __getattr__(self, name: str) -> NoReturn:
            raise no_attribute("optim.Optimizer", self, name)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, and return what a closure returned.

        Parameters
        ----------
        closure : callable, optional
            Called first: it is to compute the loss and its gradients.

        Raises
        ------
        ValueError
            If a gradient's shape is not its parameter's.
        DeviceError
            If a gradient is on another device than its parameter.
        """
        loss = enable_grad()(closure)() if closure else None
        parameters = list(self._parameters())
        self._follow([parameter for parameter, _ in parameters])
        work: list[Item] = []
        for position, (parameter, group) in enumerate(parameters):
            if parameter.grad is None:
                continue
            x, grad = parameter.array, parameter.grad.array
            if grad.shape != x.shape:  # it might broadcast, and silently
                raise ValueError(
                    f"{type(self).__name__}.step: parameter {position} has shape {x.shape}, "
                    f"but its gradient has {grad.shape}"
                )
            work.append(Item(x, grad, self.state[position], group))
        for item in self._together(work):
            self.update(*item)
        for item in work:
            writes.note(item.x)
        return loss

    def _together(self, work: list[Item]) -> list[Item]:
        """Update at once what a GPU can; the rest is returned. A subclass has rules of its own."""
        kernel = vars(type(self)).get("kernel")
        return work if kernel is None else in_one_launch(kernel, work, self._described)

    def _described(self, item: Item) -> tuple[Remembered, tuple[float, ...]] | None:
        """What `kernel` wants to know of a parameter; see `together`."""
        return None

    def _follow(self, parameters: list[Tensor]) -> None:
        """Let each parameter's state follow it, if groups have been changed by hand."""
        if list(map(id, parameters)) != list(map(id, self._holders)):
            states = dict(zip(map(id, self._holders), self.state, strict=True))
            self.state = _States((states.get(id(p), {}) for p in parameters), parameters)
            self._holders = parameters

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget every parameter's gradient: `grad` becomes None, or zeros if that is asked for."""
        for parameter, _ in self._parameters():
            parameter.zero_grad(set_to_none)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Optimise more parameters, from the next step on.

        Parameters
        ----------
        group : dict
            The tensors under `"params"`, and the options in which the group differs from the
            optimiser's own.

        Raises
        ------
        TypeError, ValueError
            As in the constructor.
        """
        name = type(self).__name__
        if not isinstance(group, Mapping):
            raise TypeError(
                f"{name}: if one element of params is a dict, all must be: got {_describe(group)}"
            )
        if "params" not in group:
            raise ValueError(f'{name}: a group needs "params", got only {sorted(group)}')
        options = {key: value for key, value in group.items() if key != "params"}
        if unknown := sorted(set(options) - set(self.defaults)):
            raise ValueError(
                f"{name} has no option {', '.join(map(repr, unknown))}; "
                f"it has {', '.join(self.defaults)}"
            )
        options = self.check_options(self.defaults | options)

        seen = {id(parameter): i for i, (parameter, _) in enumerate(self._parameters())}
        parameters = group["params"]
        parameters = [parameters] if isinstance(parameters, Tensor) else parameters
        parameters = _as_list(parameters, 'a group\'s "params"')
        for position, parameter in enumerate(parameters, start=len(seen)):
            _check_parameter(parameter, position, name)
            if id(parameter) in seen:
                raise ValueError(
                    f"{name}: parameters {seen[id(parameter)]} and {position} are the same tensor "
                    f"(shape {parameter.shape}); it would be updated twice a step"
                )
            seen[id(parameter)] = position

        self.param_groups.append(_Group(params=parameters, **options))
        self._follow([parameter for parameter, _ in self._parameters()])

    def state_dict(self) -> dict[str, Any]:
        """A snapshot of everything but the parameters' values.

        Returns
        -------
        dict
            `optimizer`: the class's name. `state`: for each parameter that has one, under its
            position as a string, a dict of arrays (copies, on the parameter's device) and integers.
            `param_groups`: for each group its options and, under `params`, its positions. The keys
            are strings and the rest is lists and numbers: the arrays fit a `.npz` file and all
            else JSON, without loss.
        """
        self._follow([parameter for parameter, _ in self._parameters()])
        groups = []
        first = 0
        for group in self.param_groups:
            end = first + len(group["params"])
            options = {key: _as_json(value) for key, value in group.items() if key != "params"}
            groups.append({**options, "params": list(range(first, end))})
            first = end
        return {
            "optimizer": type(self).__name__,
            "state": {
                str(position): {
                    key: value.copy() if _is_array(value) else value for key, value in state.items()
                }
                for position, state in enumerate(self.state)
                if state
            },
            "param_groups": groups,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a snapshot: the steps that follow are the same to the bit.

        The arrays are copied to their parameters' devices and dtypes. If anything does not fit,
        nothing is changed.

        Parameters
        ----------
        state_dict : dict
            What `state_dict` returned, of the same kind of optimiser over the same parameters.

        Raises
        ------
        ValueError
            If it is of another kind of optimiser, or its groups, parameters or shapes differ.
        """
        name = type(self).__name__
        if missing := {"optimizer", "state", "param_groups"} - set(state_dict):
            raise ValueError(f"{name}.load_state_dict: the state lacks {sorted(missing)}")
        if state_dict["optimizer"] != name:
            raise ValueError(
                f"{name}.load_state_dict: the state is of an optimiser {state_dict['optimizer']!r}"
            )
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in state_dict["param_groups"]]
        if saved_sizes != sizes:
            raise ValueError(
                f"{name}.load_state_dict: the state is of groups of {saved_sizes} parameters, "
                f"this optimiser has groups of {sizes}"
            )

        options = []
        for saved in state_dict["param_groups"]:
            saved = {**self.added, **saved}
            if missing := set(self.defaults) - set(saved):
                raise ValueError(f"{name}.load_state_dict: a group lacks {sorted(missing)}")
            options.append(self.check_options({key: saved[key] for key in self.defaults}))
        state: list[State] = [{} for _ in self.state]
        parameters = [parameter for parameter, _ in self._parameters()]
        for key, saved in state_dict["state"].items():
            position = int(key)
            if not 0 <= position < len(parameters):
                raise ValueError(
                    f"{name}.load_state_dict: state for parameter {position}, of {len(parameters)}"
                )
            state[position] = {
                entry: _restored(value, parameters[position].data, f"{entry!r} of {position}", name)
                for entry, value in saved.items()
            }

        for group, restored in zip(self.param_groups, options, strict=True):
            group.update(restored)
        self.state, self._holders = _States(state, parameters), parameters

    def with_weight_decay(self, x: Array, grad: Array, group: ParamGroup) -> Array:
        """`grad + weight_decay * x`, in working memory; `grad` itself if there is no decay."""
        if not group["weight_decay"]:
            return grad
        xp = xp_of(x, grad)
        total = scratch(xp, "gradient", x.shape, x.dtype)
        xp.multiply(x, group["weight_decay"], out=total)
        total += grad
        return total

    def buffer(self, name: str, x: Array, state: State) -> Array:
        """The array `name` of a parameter's state, zeros when it is first asked for."""
        if name not in state:
            state[name] = xp_of(x).zeros_like(x)
        kept = self.kept(name, x, state)
        assert kept is not None
        return kept

    def kept(self, name: str, x: Array, state: State) -> Array | None:
        """The array `name` of a parameter's state, if there is one.

        Raises
        ------
        ValueError
            If it was made for data of another shape.
        """
        kept: Array | None = state.get(name)
        if kept is not None and kept.shape != x.shape:
            raise ValueError(
                f"{type(self).__name__}.step: a parameter's shape is {x.shape} now, and its {name} "
                f"is for {kept.shape}: make a new optimiser for other data"
            )
        return kept

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}("]
        for i, group in enumerate(self.param_groups):
            options = ", ".join(f"{k}={v!r}" for k, v in group.items() if k != "params")
            lines.append(f"  group {i}: {len(group['params'])} parameters, {options}")
        return "\n".join([*lines, ")"])

    def _parameters(self) -> Iterator[tuple[Tensor, ParamGroup]]:
        """Every parameter with its group. Its place in this order is its position."""
        for group in self.param_groups:
            for parameter in group["params"]:
                yield parameter, group


def _as_list(params: Any, what: str) -> list[Any]:
    if isinstance(params, Tensor | Mapping | str | set | frozenset) or not isinstance(
        params, Iterable
    ):
        hint = "; put it in a list" if isinstance(params, Tensor | Mapping) else ""
        raise TypeError(
            f"{what} must be a list, or another ordered iterable, of tensors or groups; "
            f"got {_describe(params)}{hint}"
        )
    return list(params)


def _check_parameter(parameter: Any, position: int, name: str) -> None:
    if not isinstance(parameter, Tensor):
        named = isinstance(parameter, tuple) and isinstance(parameter[-1], Tensor)
        hint = ": write net.parameters(), without names" if named else ""
        raise TypeError(
            f"{name}: parameter {position} must be a Tensor, got {_describe(parameter)}{hint}"
        )
    if parameter.data.dtype.kind != "f":
        raise TypeError(
            f"{name}: parameter {position} must hold floating-point numbers, "
            f"got {parameter.data.dtype}"
        )
    if not parameter.is_leaf:
        raise ValueError(
            f"{name}: parameter {position} (shape {parameter.shape}) is the result of an "
            "operation, not a leaf of the graph, and gets no gradient; detach it first"
        )


def _restored(value: Any, x: Array, what: str, name: str) -> Any:
    """A value of the saved state, fitted to the parameter's array `x`."""
    if not _is_array(value):
        return value
    if value.shape != x.shape:
        raise ValueError(
            f"{name}.load_state_dict: the state's {what} has shape {value.shape}, "
            f"the parameter has {x.shape}"
        )
    return to_device(value, device_of(x)).astype(x.dtype)  # a copy


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype")


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a dict"
    return f"{value!r:.60} of type {type(value).__name__}"
