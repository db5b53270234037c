"""A training step in JAX, compiled as a whole."""

from __future__ import annotations

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import resnet
from minires.bench import tasks
from minires.bench.tasks import Task, Work


def about() -> dict[str, str]:
    """Its version."""
    threads = len(os.sched_getaffinity(0))
    return {"library": f"JAX {jax.__version__}", "threads": str(threads), "kernels": "XLA"}


class Layers:
    """Images are (N, H, W, C), as are minires's."""

    def conv(self, x: Any, w: Any, stride: int) -> Any:
        return jax.lax.conv_general_dilated(
            x,
            w,
            (stride, stride),
            ((1, 1), (1, 1)),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def batch_norm(self, x: Any, gamma: Any, beta: Any) -> Any:
        mean, var = jnp.mean(x, axis=(0, 1, 2)), jnp.var(x, axis=(0, 1, 2))
        return (x - mean) * (gamma * jax.lax.rsqrt(var + 1e-5)) + beta

    def relu(self, x: Any) -> Any:
        return jax.nn.relu(x)

    def shorten(self, x: Any, new: int) -> Any:
        return jnp.pad(x[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (new, new)))

    def classify(self, x: Any, w: Any, b: Any) -> Any:
        return jnp.mean(x, axis=(1, 2)) @ w + b


def build(task: Task, layout: str) -> Work:
    """Make a training step ready; its first run compiles it."""
    if task.kind != "step":
        raise ValueError(f"peers know training steps only, not {task.kind}")
    images, labels = map(jnp.asarray, tasks.images(task))
    state = {n: jnp.array(t.data) for n, t in tasks.network(task).named_parameters()}
    velocity = {name: jnp.zeros_like(w) for name, w in state.items()}

    def loss(p: dict[str, Any]) -> Any:
        logits = resnet.logits(Layers(), p, images, task.model)
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(len(images)), labels])

    @jax.jit
    def step(p: dict[str, Any], v: dict[str, Any]) -> Any:
        value, grads = jax.value_and_grad(loss)(p)
        new_v = {n: tasks.MOMENTUM * v[n] + grads[n] + tasks.WEIGHT_DECAY * p[n] for n in p}
        new_p = {n: p[n] - tasks.LEARNING_RATE * new_v[n] for n in p}
        return value, grads, new_p, new_v

    def run() -> Any:
        nonlocal state, velocity
        value, grads, state, velocity = jax.block_until_ready(step(state, velocity))
        return value, grads

    def outputs() -> dict[str, Any]:
        value, grads = run()
        found = {"loss": np.asarray(value)}
        for name, w in state.items():
            found[f"gradient of {name}"], found[f"new {name}"] = map(np.asarray, (grads[name], w))
        return found

    return Work(run, outputs)
