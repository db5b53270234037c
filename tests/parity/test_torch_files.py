"""Files that PyTorch itself writes are read, and it reads those that are written for it."""

import collections

import numpy as np
import pytest
import torch
from parity.test_torch_resnets import Twin
from safetensors.torch import load_file

import minires
from minires import Tensor, models, no_grad
from minires.interop import load_torch, read_checkpoint, save_torch_compatible

TYPES = (
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def saved(request, tmp_path):
    def save(content, **options):
        torch.save(content, tmp_path / "x", _use_new_zipfile_serialization=request.param, **options)
        return tmp_path / "x"

    return save


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_whole_checkpoint(saved, protocol):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    network(torch.ones(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5])
    content = {
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "epoch": 3,
        "shape": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "types": [torch.float32, torch.bfloat16],
        "random": torch.get_rng_state(),
    }
    path = saved(content, pickle_protocol=protocol)
    read = read_checkpoint(path)
    assert list(read) == list(content)
    assert read["schedule"]["milestones"] == {3: 1, 5: 1}
    assert (read["epoch"], tuple(read["shape"])) == (3, (1, 2))
    momentum = read["optimizer"]["state"][0]["momentum_buffer"].read()
    np.testing.assert_array_equal(momentum, optimizer.state[network[0].weight]["momentum_buffer"])
    state = load_torch(path)
    np.testing.assert_array_equal(
        state["0.weight"], network[0].weight.detach().permute(2, 3, 1, 0).numpy()
    )
    assert state["1.num_batches_tracked"] == 1


@pytest.mark.parametrize("dtype", TYPES)
def test_types_and_views(saved, dtype):
    base = (torch.arange(24) % 2).reshape(2, 3, 4).to(dtype)
    views = {
        "all": base,
        "part": base[:, 1:, ::2],
        "turned": base.permute(2, 0, 1),
        "parameter": torch.nn.Parameter(base.double()) if dtype == torch.float64 else base,
        "scalar": base[1, 1, 1],
        "empty": base[:0],
        "last": base.to(memory_format=torch.contiguous_format)[1],
    }
    read = load_torch(saved(views))
    for name, value in views.items():
        wanted = value.detach().float() if dtype == torch.bfloat16 else value.detach()
        np.testing.assert_array_equal(read[name], wanted.numpy(), name)


def test_a_whole_module_is_refused(saved):
    with pytest.raises(ValueError, match=r"it asks for torch.nn.modules.linear.Linear"):
        load_torch(saved(torch.nn.Linear(2, 3)))


def test_an_expanded_number_is_refused(saved):
    with pytest.raises(ValueError, match="repeats its 1 numbers"):
        load_torch(saved({"a": torch.zeros(1).expand(10**9)}))


def test_pytorchs_resnet_goes_in_and_out(saved, tmp_path):
    torch.manual_seed(0)
    theirs = Twin((2, 2, 2, 2), (64, 128, 256, 512), False, True, "B", 10).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, 0.05, 0.05)
    ours = minires.load(
        saved({"state_dict": torch.nn.DataParallel(theirs).state_dict()}), "resnet18"
    )
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad(), no_grad():
        wanted = theirs(x).numpy()
        got = ours(Tensor(x.permute(0, 2, 3, 1).numpy())).numpy()
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * abs(wanted).max())

    save_torch_compatible(ours, tmp_path / "out.safetensors")
    state = load_file(tmp_path / "out.safetensors")
    another = Twin((2, 2, 2, 2), (64, 128, 256, 512), False, True, "B", 10).eval()
    another.load_state_dict(state)
    with torch.no_grad():
        np.testing.assert_array_equal(another(x), wanted)


def test_fresh_networks_go_out(tmp_path):
    model = models.resnet20()
    save_torch_compatible(model, tmp_path / "out")
    twin = Twin((3, 3, 3), (16, 32, 64), False, False, "A", 10)
    assert not any(twin.load_state_dict(collections.OrderedDict(load_file(tmp_path / "out"))))
