"""The keywords that only PyTorch's functions take: what changes nothing, and what to write instead.

A row is `keywords | values that change nothing | what to write here | why`. A keyword of one
function alone is written `function.keyword`, and `function()` is a call with too many arguments by
position. A star stands for any value.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any, NamedTuple

ROWS = """
# Layers
device | None cpu | nn.Linear(4, 2).to("cpu") | a layer is moved when it is made
dtype | None float32 | nn.Linear(4, 2).to(dtype="float64") | a layer is converted when it is made
softmax.dtype log_softmax.dtype | None | F.softmax(x.astype("float64"), 1)
padding_mode | zeros | F.pad(images, (1, 1, 1, 1), "reflect") | before a layer with padding=0
max_pool2d.dilation MaxPool2d.dilation | 1 | F.max_pool2d(images[:, ::2, ::2], 2, stride=1) \
| of a stride that is the dilation
count_include_pad | True | F.avg_pool2d(images, 3, 1, 1) / F.avg_pool2d(Tensor(np.ones( \
images.shape, "float32")), 3, 1, 1)
divisor_override | None | F.avg_pool2d(images, 2) * 4 / 3
return_indices | False | F.max_pool2d(images, 2) | gives values only
output_size | None | nn.ConvTranspose2d(3, 8, 3, stride=2, output_padding=1) | when it is made
max_norm | None | m / (m * m).sum(1, keepdims=True).sqrt().clip(low=1.0) | before it is looked up
norm_type | 2 2.0 | m / m.abs().sum(1, keepdims=True).clip(low=1.0)
scale_grad_by_freq sparse | False | F.embedding(labels, m) | gradients are dense sums
_weight _freeze | None False | nn.Embedding.from_pretrained(m, freeze=True)
BatchNorm1d.bias BatchNorm2d.bias | True | nn.BatchNorm2d(3).bias.requires_grad_(False) | it stays 0
add_bias_kv add_zero_attn | False | minires.cat([a, minires.zeros(2, 1, 4)], dim=1) | as \
keys and values
kdim vdim | None | nn.Linear(4, 8)(a) | before attention, whose keys and values are of embed_dim
recompute_scale_factor antialias | None False | F.interpolate(images, size=(4, 4), mode="bilinear")
size_average reduce | None | nn.CrossEntropyLoss(reduction="sum")
mse_loss.weight l1_loss.weight | None | (w * (x - y) ** 2).mean()

# Modules
persistent | True | net.__setattr__("mask", mask) | an attribute is not in the state
prepend with_kwargs always_call | False | net.register_forward_hook(lambda module, args, out: None)
non_blocking | * | x.to("cpu")
copy | False | x.to("cpu").copy()
memory_format | * | x.to("cpu") | channels are last always
assign | False | net.load_state_dict(net.state_dict()) | values are copied
destination keep_vars | None False | dict(net.named_parameters())
memo remove_duplicate | None True | list(net.named_modules()) | each once

# Data and files
worker_init_fn multiprocessing_context prefetch_factor in_order timeout \
pin_memory_device persistent_workers | * | data.DataLoader(data.fashion_mini(), 64) | no workers
random_split.generator DataLoader.generator | None | data.DataLoader(data.fashion_mini(), 64, \
shuffle=True, seed=1) | orders are functions of the seed
load.state_dict load.model_state_dict load.model load.net load.weights load.model_state \
load.epoch load.optimizer load.optimizer_state_dict load.best_acc load.loss load.scheduler | | \
net.load_state_dict(net.state_dict()) | what load gave is the state itself; what is saved beside \
it, minires.save(net, path, epoch=1), is in minires.load(path, net).metadata
map_location weights_only mmap pickle_module | * | net.load_state_dict(net.state_dict())

# Optimisers and schedules
foreach fused capturable | * | optim.SGD(net.parameters(), lr=0.1) | there is one implementation
maximize | False | (-net(x).sum()).backward()
differentiable | False | minires.grad(net(x).sum(), p, create_graph=True)
decoupled_weight_decay | False | optim.AdamW(net.parameters())
param_groups.initial_lr | | schedule.base_lrs[0]
param_groups.max_lr | | max(schedule.base_lrs)
last_epoch | -1 | schedule.load_state_dict(schedule.state_dict()) | which goes on from there
Schedule.__init__() | | optim.LambdaLR(optimizer, lambda n: 1 / (n + 1)) | one of your own calls \
super().__init__(optimizer) and defines lr_at(self, step, base_lr)
verbose | * | schedule.get_last_lr()
anneal_strategy | cos | optim.LambdaLR(optimizer, lambda n: min(n, 20 - n) / 10)
three_phase | False | optim.OneCycleLR(optimizer, 0.1, total_steps=20)
defaults | | optim.SGD(net.parameters(), lr=0.1)
epoch Schedule.step() ReduceLROnPlateau.step() | None | schedule.step() | it counts by itself

# Gradients
inputs | None | minires.grad(net(x).sum(), p)
allow_unused materialize_grads is_grads_batched | None False True | minires.grad( \
net(x).sum(), p) | None for what it does not depend on
grad_outputs | None | minires.grad(net(x), p, gradient=minires.ones(3, 5))
error_if_nonfinite | False | minires.detect_nonfinite()
enable_gqa | False | minires.cat([a, a], dim=1) | as keys and values, which are as many as queries
compile() fullgraph dynamic backend compile.mode options name disable recompile_limit \
isolate_recompiles shapes_spec | * | minires.compile(net.eval(), x)

# Tensors
Tensor() | | minires.empty(2, 3) | zeros and ones too
alpha | 1 | x + 2 * y
subtract.alpha | 1 | x - 2 * y
rounding_mode | None | Tensor(np.floor_divide(x.numpy(), y.numpy()))
generator | None | minires.manual_seed(0) | there is one generator
pin_memory layout | * | minires.zeros(2, 3)
out | None | y.copy_(x * 2) | a result is new; copy_ writes it
view.dtype | | x.numpy().view("int32")
view.size reshape.shape | | x.reshape(2, -1) | by position
permute.dims | | a.permute(2, 0, 1) | by position
transpose.dim0 transpose.dim1 swapaxes.axis0 swapaxes.axis1 | | a.swapaxes(0, 1) | by position
reshape.order | C K A | x.T.reshape(-1) | values in the order of the axes reversed
expand.size | | v.expand(3, 4) | by position
dim | | minires.concatenate([x, y], axis=1)
force | * | x.numpy()
where() | | np.nonzero(mask)
where.condition where.input where.other | | minires.where(mask, x, y) | by position
input other | | minires.matmul(x, m) | tensors by position
"""


class Keyword(NamedTuple):
    """What a keyword of PyTorch's is here."""

    nothing: tuple[str, ...]
    """Values that change nothing."""
    ours: str
    why: str

    def __str__(self) -> str:
        return f"write {self.ours}" + (f" ({self.why})" if self.why else "")


@cache
def table() -> dict[str, Keyword]:
    """Every row, by keyword."""
    found: dict[str, Keyword] = {}
    for line in ROWS.replace("\\\n", "").splitlines():
        if line and not line.startswith("#"):
            names, nothing, ours, *why = (part.strip() for part in line.split("|"))
            for name in names.split():
                found[name] = Keyword(tuple(nothing.split()), ours, *(why or [""]))
    return found


def find(owner: str, keyword: str) -> Keyword | None:
    """What is said of a keyword of a function or class; None if it is not PyTorch's."""
    return table().get(f"{owner}.{keyword}") or table().get(keyword)


def _name(function: Any, args: tuple[Any, ...]) -> str:
    if function.__name__ == "__init__":
        return type(args[0]).__name__
    return str(function.__name__)


def understood(
    function: Any, args: tuple[Any, ...], given: dict[str, Any], error: TypeError
) -> dict[str, Any]:
    """The keywords of a refused call without those that change nothing.

    Raises
    ------
    TypeError
        If others are left that the function does not know, or the arguments do not fit: it says
        what to write, or what the function takes.
    """
    name = _name(function, args)
    signature = inspect.signature(function)
    own = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    takes = [str(p) for p in own if p.name != "self"]
    by_name = {p.name for p in own if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    unknown = {key: value for key, value in given.items() if key not in by_name}
    for key, value in unknown.items():
        hint = find(name, key)
        if hint is None or not _is_nothing(value, hint):
            said = hint or f"it takes {', '.join(takes)}"
            raise TypeError(f"{name} has no `{key}`: {said}") from None
    if unknown:
        return {key: value for key, value in given.items() if key not in unknown}
    calls = (f"{function.__qualname__}()", f"{name}()")
    hint = next((table()[call] for call in calls if call in table()), None)
    raise TypeError(f"{error}: {hint or 'it takes ' + ', '.join(takes)}") from None


def _is_nothing(value: Any, hint: Keyword) -> bool:
    return "*" in hint.nothing or str(getattr(value, "__name__", value)) in hint.nothing
