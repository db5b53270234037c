"""`minires summary` and `minires info`: what is there, before anything runs."""

from __future__ import annotations

import platform
from typing import Annotated

import numpy as np
import typer

import minires
from minires import data, kernels, models, nn
from minires.backend import DeviceError
from minires.cli.image_size import usual_side
from minires.cli.options import option


def summary_command(
    model: Annotated[str, typer.Argument(help="A network's name, such as resnet20.")],
    size: Annotated[int | None, option("N", "Height and width.", "32 or 224", min=1)] = None,
    classes: Annotated[
        int | None, option("N", "Classes to tell apart.", "10 or 1000", min=1)
    ] = None,
    channels: Annotated[int, option("N", "3 for colour images, 1 for grey ones.", min=1)] = 3,
) -> None:
    """Show a network layer by layer: output shapes, parameters, multiply-adds."""
    network = models.create(model, classes, channels)
    side = size or usual_side(network)
    print(nn.summary(network, (side, side, channels)))


Convolution = tuple[int, int, int, int, int, int, int]


def info_command(
    conv: Annotated[
        Convolution | None,
        option("N H W C O K S", "Say instead how N images are convolved.", default=False),
    ] = None,
) -> None:
    """Show versions, the BLAS library, threads and devices.

    With --conv, which algorithms convolve N images of H x W pixels and C
    channels with O filters of K x K, at stride S and with padding K // 2, and
    why.
    """
    import threadpoolctl

    if conv is not None:
        print(_convolution(*conv))
        return
    print(f"minires   {minires.__version__}")
    print(f"Python    {platform.python_version()} on {platform.system()} {platform.machine()}")
    print(f"NumPy     {np.__version__}")
    for library in threadpoolctl.threadpool_info():
        if library["user_api"] == "blas":
            kernel = library.get("architecture") or "unknown kernels"
            print(
                f"BLAS      {library['internal_api']} {library['version']}, {kernel}, "
                f"{library['num_threads']} threads of its own"
            )
    print(f"threads   {kernels.get_num_threads()} (MINIRES_NUM_THREADS changes it)")
    print("devices   cpu")
    try:
        cupy = minires.backend.load_cupy()
        for number in range(cupy.cuda.runtime.getDeviceCount()):
            name = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
            print(f"          cuda:{number}  {name} (CuPy {cupy.__version__})")
    except DeviceError as error:
        print(f"          no cuda: {error}")
    print(f"datasets  {', '.join(data.DATASET_NAMES)}, or a folder of images")
    print(f"models    {', '.join(models.MODELS)}")


def _convolution(N: int, H: int, W: int, C: int, O: int, K: int, S: int) -> str:
    if min(N, H, W, C, O, K, S) < 1:
        raise ValueError(f"--conv wants seven positive numbers, got {N} {H} {W} {C} {O} {K} {S}")
    padding = K // 2
    geometry = kernels.ConvGeometry((S, S), (padding, padding))
    choices = kernels.explain((N, H, W, C), (K, K, C, O), geometry=geometry)
    Ho, Wo = ((n + 2 * padding - K) // S + 1 for n in (H, W))
    lines = [
        f"images    ({N}, {H}, {W}, {C}), weights ({K}, {K}, {C}, {O}), stride {S}, "
        f"padding {padding}: output ({N}, {Ho}, {Wo}, {O}), in float32",
        f"work      {N * Ho * Wo * O * K * K * C:,} multiply-adds each way",
    ]
    lines += [f"{task:<8}  {name:<10} {reason}" for task, (name, reason) in choices.items()]
    return "\n".join(lines)
