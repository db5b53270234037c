"""Moving between devices, mixing them, and what is said where there is none."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minires
from minires import Tensor, backend, models, nn, ops
from minires.backend import DeviceError
from on_cupy import emulation
from on_cupy.cases import normal
from on_cupy.devices import cupy_is, skip_or_fail
from on_cupy.strict import stand_in

MIXED = {
    "add": lambda host, device: host + device,
    "matmul": lambda host, device: device @ host.T,
    "maximum": ops.maximum,
    "where": lambda host, device: ops.where(host > 0, device, 0.0),
    "concatenate": lambda host, device: ops.concatenate([host, device]),
    "batch_norm": lambda host, device: ops.batch_norm(device, host[0], host[1]),
    "conv2d": lambda host, device: ops.conv2d(
        host.reshape(1, 3, 4, 1), device[:1, :1].reshape(1, 1, 1, 1)
    ),
    "cross_entropy": lambda host, device: ops.cross_entropy(device, target=host.data),
}


@pytest.mark.parametrize("name", MIXED)
def test_mixing_devices_is_an_error_that_says_how_to_move(gpu, name):
    host = Tensor(normal(3, 4), requires_grad=True)
    device = Tensor(normal(3, 4)).to("cuda")
    wanted = r"these arrays are on different devices: .*; move them together first, with tensor\.to"
    with pytest.raises(DeviceError, match=wanted):
        MIXED[name](host, device)


def test_a_gradient_of_another_device_is_an_error(gpu):
    x = Tensor(normal(3, 4)).to("cuda").requires_grad_()
    with pytest.raises(DeviceError, match="different devices"):
        (x * 2).backward(Tensor(normal(3, 4)))


def test_an_optimizer_refuses_a_gradient_of_another_device(gpu):
    parameter = nn.Parameter(Tensor(normal(3, 4)).to("cuda").data)
    parameter.grad = Tensor(normal(3, 4))
    with pytest.raises(DeviceError, match="different devices"):
        minires.optim.SGD([parameter], lr=0.1).step()


def test_gradients_flow_back_through_a_move(gpu):
    x = Tensor(normal(3, 4), requires_grad=True)
    (x.to("cuda") * 2).sum().backward()
    assert x.grad.device == "cpu"
    np.testing.assert_array_equal(x.grad.numpy(), np.full((3, 4), 2.0))


def test_new_tensors_go_where_use_says(gpu):
    minires.use("cuda")
    assert Tensor([1.0, 2.0]).device == "cuda:0"
    assert Tensor(np.ones(2)).device == "cpu"  # an array stays where it is
    minires.use("numpy")
    assert Tensor([1.0, 2.0]).device == "cpu"


def test_a_tensor_on_a_gpu_says_so(gpu):
    assert "device='cuda:0'" in repr(Tensor([1.0]).to("cuda"))


def test_a_network_moves_to_the_gpu_and_back(gpu):
    model = models.create("resnet8", 10, 1)
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    assert {t.device for t in model.to("cuda").state_dict().values()} == {"cuda:0"}
    assert {t.device for t in model.to("cpu").state_dict().values()} == {"cpu"}
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


@pytest.mark.parametrize(("first", "then"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_weights_move_between_devices(gpu, first, then, tmp_path):
    minires.manual_seed(1)
    source = models.create("resnet8", 10, 1).to(first)
    minires.manual_seed(2)
    target = models.create("resnet8", 10, 1).to(then)
    target.load_state_dict(source.state_dict())
    minires.save(source, tmp_path / "weights.npz")
    loaded = minires.load(tmp_path / "weights.npz").to(then)
    for key, value in source.state_dict().items():
        np.testing.assert_array_equal(target.state_dict()[key].numpy(), value.numpy())
        np.testing.assert_array_equal(loaded.state_dict()[key].numpy(), value.numpy())
    assert next(target.parameters()).device.startswith(then)


def test_initialisation_on_the_gpu_draws_the_same(gpu):
    def weights(device):
        tensor = Tensor(np.zeros((3, 4))).to(device)
        minires.manual_seed(3)
        return nn.init.kaiming_normal_(tensor).numpy()

    np.testing.assert_array_equal(weights("cuda"), weights("cpu"))


# ---------------------------------------------------------------------- a second GPU


@pytest.fixture
def two_gpus():
    """The stand-in, which has two devices; the emulation has one."""
    with cupy_is(stand_in):
        yield
        stand_in.Device(0).use()


def test_a_network_trains_on_the_second_gpu(two_gpus):
    model = models.create("resnet8", 10, 1).to("cuda:1")
    optimizer = minires.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    images = Tensor(normal(2, 8, 8, 1).astype(np.float32)).to("cuda:1")
    loss = nn.functional.cross_entropy(model(images), np.array([1, 2]))
    loss.backward()
    optimizer.step()
    assert loss.device == "cuda:1"
    assert {p.grad.device for p in model.parameters()} == {"cuda:1"}


def test_two_gpus_are_not_mixed(two_gpus):
    first, second = Tensor(normal(3, 4)).to("cuda:0"), Tensor(normal(3, 4)).to("cuda:1")
    with pytest.raises(DeviceError, match="different devices: cuda:0, cuda:1"):
        ops.maximum(first, second)
    np.testing.assert_array_equal(first.to("cuda:1").numpy(), first.numpy())


def test_a_gpu_that_is_not_there(two_gpus):
    with pytest.raises(DeviceError, match=r'no device "cuda:2": this machine has 2 GPU\(s\)'):
        Tensor([1.0]).to("cuda:2")


# ---------------------------------------------------------------------- when there is no GPU


def broken(**replaced):
    """The stand-in with something that does not work."""
    working = {name: getattr(stand_in, name) for name in ("cuda", "ndarray", "ones", "matmul")}
    return SimpleNamespace(**{**working, **replaced})


def raises(error):
    def function(*args):
        raise error

    return function


def runtime(get_device_count):
    return SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=get_device_count))


WITHOUT = {
    "not installed": (
        None,
        r"CuPy is not installed, so there is no cuda device.*pip install 'minires\[cuda13\]'",
    ),
    "no driver": (
        broken(cuda=runtime(raises(stand_in.CUDARuntimeError("cudaErrorInsufficientDriver")))),
        r"CuPy is installed, but finds no NVIDIA GPU.*nvidia-smi.*device=\"cpu\"",
    ),
    "no device": (
        broken(cuda=runtime(lambda: 0)),
        r"CuPy is installed, but finds no NVIDIA GPU.*nvidia-smi.*device=\"cpu\"",
    ),
    "no libraries": (
        broken(matmul=raises(ImportError('Failure finding "libcublas.so.13"'))),
        r"CuPy finds a GPU but not the CUDA toolkit's libraries.*pip install 'cupy-cuda13x\[ctk\]'",
    ),
}


@pytest.mark.parametrize("ask", [lambda: minires.use("cupy"), lambda: Tensor([1.0]).to("cuda")])
@pytest.mark.parametrize("missing", WITHOUT)
def test_what_is_missing_and_how_to_get_it(missing, ask):
    module, message = WITHOUT[missing]
    with cupy_is(module), pytest.raises(DeviceError, match=message):
        ask()
    assert backend.default_device() == "cpu"


def test_a_cupy_that_cannot_be_imported_is_not_called_absent(monkeypatch, tmp_path):
    (tmp_path / "cupy.py").write_text("import something_that_cupy_needs\n")
    monkeypatch.syspath_prepend(tmp_path)
    with cupy_is(None):
        del sys.modules["cupy"]
        with pytest.raises(DeviceError, match=r"cannot be imported.*something_that_cupy_needs"):
            backend.load_cupy()
        sys.modules["cupy"] = None


REAL_WHEEL = {
    "no GPU": ("", "CuPy is installed, but finds no NVIDIA GPU"),
    "no libraries": (
        "from on_cupy import emulation; emulation.install(with_cublas=False)",
        "CuPy finds a GPU but not the CUDA toolkit's libraries",
    ),
}


@pytest.mark.parametrize("missing", REAL_WHEEL)
def test_what_the_real_wheel_says_of_what_is_missing(missing, pytestconfig):
    if (obstacle := emulation.obstacle()) is not None:
        skip_or_fail(pytestconfig, obstacle)
    prepare, message = REAL_WHEEL[missing]
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
{prepare}
import minires
try:
    minires.use("cuda")
except minires.backend.DeviceError as error:
    print(error)
"""
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}  # where there is a GPU
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=hidden
    )
    assert message in done.stdout, done.stdout + done.stderr


def test_a_profile_waits_for_each_operation(counting_gpu):
    x = Tensor(normal(3, 4)).to("cuda").requires_grad_()
    counting_gpu.start_counting()
    with minires.profile() as profile:
        ops.exp(x).sum().backward()
    passes = profile.operations["exp"]
    assert (passes.forward_calls, passes.backward_calls) == (1, 1)
    assert counting_gpu.counted()["synchronisations"] == 2 + 4  # the block's ends, the operations
