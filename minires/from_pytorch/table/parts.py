"""The names of smaller parts of torch that minires writes another way. `table` has the format."""

MODULE_ROWS = """
# Converting and moving: in place
bfloat16 type | | net.to(dtype="float16") | in place; NumPy has no bfloat16
to_empty xpu ipu mtia || net.to("cpu") | devices are "cpu" and "cuda"
share_memory || pass | one process trains
compile || minires.compile(net.eval(), x)

# What is inside
set_submodule || net.__setitem__(0, nn.Linear(4, 5))
get_extra_state set_extra_state || net.register_buffer("count", Tensor(0.0)) | a tensor is saved

# Hooks
register_backward_hook register_full_backward_pre_hook \
|| net.register_full_backward_hook(lambda module, grad_input, grad_output: None)
register_load_state_dict_pre_hook register_load_state_dict_post_hook register_state_dict_pre_hook \
register_state_dict_post_hook || net.load_state_dict({k: v for k, v in net.state_dict().items()}) \
| change the dict before
dump_patches T_destination || net.state_dict()

! PyTorch's insides: nothing that a script would call
call_super_init
"""

INIT_ROWS = """
# Initialisation: in place, under no_grad by itself
trunc_normal_ || p.copy_((0.02 * minires.randn(*p.shape)).clip(-0.04, 0.04))
orthogonal_ orthogonal || m.copy_(np.linalg.qr(np.random.default_rng(0).normal(size=m.shape))[0])
eye_ dirac_ eye dirac || m.copy_(np.eye(4))
sparse_ sparse || m.copy_(minires.where(minires.rand(4, 4) < 0.1, 0.0, minires.randn(4, 4)))
xavier_uniform || nn.init.xavier_uniform_(p)
xavier_normal || nn.init.xavier_normal_(p)
kaiming_uniform || nn.init.kaiming_uniform_(p)
kaiming_normal || nn.init.kaiming_normal_(p)
normal || nn.init.normal_(p, 0.0, 0.01)
uniform || nn.init.uniform_(p, -0.1, 0.1)
constant || nn.init.constant_(p, 0.5)
"""

UTILS_ROWS = """
# Gradients and parameters
clip_grad_norm clip_grads_with_norm_ clip_grad || optim.clip_grad_norm_(net.parameters(), 1.0)
get_total_norm || optim.clip_grad_norm_(net.parameters(), math.inf) | what it returns
convert_parameters || nn.utils.parameters_to_vector(net.parameters())

# Layers
weight_norm remove_weight_norm parametrizations parametrize stateless \
|| p / (p * p).sum(0, keepdims=True).sqrt() | in `forward`
spectral_norm remove_spectral_norm || p / float(np.linalg.norm(p.detach(), 2)) | in `forward`; \
the largest singular value
prune || p.copy_(p * (p.abs() > 0.1)) | under no_grad, after each step
fuse_conv_bn_eval fuse_conv_bn_weights fuse_linear_bn_eval fuse_linear_bn_weights fusion \
|| minires.compile(net.eval(), x)
skip_init init || nn.Linear(4, 2)
convert_conv2d_weight_memory_format convert_conv3d_weight_memory_format memory_format || net \
| channels are last always
rnn || minires.stack([ops.pad(v[:3], width=((0, 1),)), w]) | pad_sequence; where the padding is, \
minires.where(mask, x, 0.0) leaves it out
"""

TORCH_UTILS_ROWS = """
# Beside data
checkpoint || net(x) | what layers save is kept; smaller batches, whose gradients add up, save less
dlpack || Tensor(np.from_dlpack(x.numpy()))

! Logs of other tools: fit gives a history, and tensorboardX's SummaryWriter takes loss.item()
tensorboard

! PyTorch's insides: minires.profile, minires.models and `minires info` are for users
ThroughputBenchmark throughput_benchmark backcompat backend_registration benchmark bottleneck \
cmake_prefix_path collect_env cpp_backtrace cpp_extension deterministic flop_counter \
generate_methods_for_privateuse1_backend get_cpp_backtrace hooks mobile_optimizer model_zoo \
rename_privateuse1_backend serialization set_module swap_tensors weak
"""

CUDA_ROWS = """
# Devices
set_device device || minires.use("cpu") | or "cuda:1"
current_device get_device_name || x.device | a text, such as "cuda:0"
manual_seed manual_seed_all seed seed_all initial_seed || minires.manual_seed(0) | one generator \
for all devices
empty_cache || pass | CuPy's pool keeps memory and gives it out again
memory_allocated max_memory_allocated reset_peak_memory_stats memory_reserved max_memory_reserved \
memory_summary || minires.profile() | CuPy's pool has the memory
Event Stream stream current_stream || minires.cuda.synchronize() | and time.perf_counter()
amp || minires.training.MixedPrecision(net, optimizer)
FloatTensor || Tensor([1.0, 2.0], device="cpu") | or "cuda"
LongTensor || Tensor(np.array([1, 2]), device="cpu") | or "cuda"

! The rest of torch.cuda: CuPy has such functions
*
"""

DATA_ROWS = """
# Samplers: orders of indices, which `sampler=` takes
sampler || data.SequentialSampler(range(10))
DistributedSampler distributed || data.DataLoader(data.fashion_mini(), 64) | there is one process

# Datasets: what has a length and samples
IterableDataset ChainDataset StackDataset dataset || data.TensorDataset(x, y) | samples have numbers
default_convert || minires.as_tensor([1.0, 2.0])
get_worker_info dataloader || data.DataLoader(data.fashion_mini(), 64) | it needs no workers

! Pipes: functions and generators of Python's do that
*DataPipe *DataChunk *DFIterDataPipe datapipes functional_datapipe graph* runtime_validation*
argument_validation guaranteed_datapipes_determinism non_deterministic backward_compatibility
graph_settings
"""

RANDOM_ROWS = """
# Randomness: one generator, on the host
seed | | minires.manual_seed(np.random.SeedSequence().entropy)
initial_seed || minires.random.generator().bit_generator.seed_seq.entropy
get_rng_state || rng_state = minires.random.generator().bit_generator.state
set_rng_state || minires.random.generator().bit_generator.state = rng_state | what was read \
before
fork_rng || rng_state = minires.random.generator().bit_generator.state | before the \
block, and write it back after: minires.random.generator().bit_generator.state = rng_state
default_generator Generator thread_safe_generator || minires.random.generator() | NumPy's; \
manual_seed starts it anew
"""
