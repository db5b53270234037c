"""The names of torch itself that minires writes another way. `table` has the format."""

ROWS = """
# Methods here: what is a function there
abs | torch.abs(y) | y.abs()
sum | torch.sum(x, 1) | x.sum(1)
mean | torch.mean(x, 1) | x.mean(1)
max | torch.max(x) | x.max()
min | torch.min(x) | x.min()
argmax | torch.argmax(x, 1) | x.argmax(1)
argmin | torch.argmin(x, 1) | x.argmin(1)
var | torch.var(x) | x.var(ddof=1) | along an axis x.var(dim=1)
std | torch.std(x) | x.std(ddof=1) | along an axis x.std(dim=1)
var_mean | torch.var_mean(x, 0) | (x.var(dim=0), x.mean(dim=0))
std_mean | torch.std_mean(x, 0) | (x.std(dim=0), x.mean(dim=0))
clip | torch.clip(x, 0.2, 0.8) | x.clip(0.2, 0.8)
flatten | torch.flatten(a, 1) | a.flatten(1)
reshape | torch.reshape(x, (2, -1)) | x.reshape(2, -1)
squeeze | torch.squeeze(x[:, :1]) | x[:, :1].squeeze()
transpose | torch.transpose(a, 1, 2) | a.swapaxes(1, 2)
swapaxes | torch.swapaxes(a, 1, 2) | a.swapaxes(1, 2)
detach | torch.detach(x) | x.detach()
fill | torch.fill(x, 2.0) | x.copy().fill_(2.0)
rsub | torch.rsub(x, y) | y - x
t_copy permute_copy transpose_copy | torch.t_copy(x) | x.T.copy()
squeeze_copy unsqueeze_copy view_copy expand_copy detach_copy alias_copy as_strided_copy \
diagonal_copy select_copy slice_copy split_copy split_with_sizes_copy unbind_copy unfold_copy \
|| x.copy() | of what the name without _copy gives

# Creation: in NumPy's functions, whose arrays Tensor takes
scalar_tensor | torch.scalar_tensor(2.0) | minires.tensor(2.0)
asarray | torch.asarray([1.0, 2.0]) | minires.as_tensor([1.0, 2.0])
from_dlpack to_dlpack frombuffer from_file || Tensor(np.from_dlpack(x.numpy()))
empty_strided empty_permuted || minires.empty(2, 3)
range || minires.arange(5)
logspace | torch.logspace(0, 1, 5) | Tensor(np.logspace(0, 1, 5, dtype="float32"))
normal || 1.5 + 2 * minires.randn(2, 3)
randint_like || minires.randint(0, 10, x.shape)
poisson binomial || Tensor(minires.random.generator().poisson(2.0, (2, 3)))
tril_indices triu_indices | torch.tril_indices(3, 3) | np.array(np.tril_indices(3))
vander | torch.vander(v) | np.vander(v)
bartlett_window blackman_window hamming_window hann_window kaiser_window \
| torch.bartlett_window(5, periodic=False) | np.bartlett(5)
complex polar view_as_complex view_as_complex_copy view_as_real view_as_real_copy \
|| minires.stack([x, y], axis=-1) | a real and an imaginary part

# Joining and comparing
concat | torch.concat([x, y], dim=1) | minires.cat([x, y], dim=1)
column_stack | torch.column_stack([v, w]) | minires.stack([v, w], axis=1) | of matrices hstack
row_stack | torch.row_stack([v, w]) | minires.vstack([v, w])
dstack | torch.dstack([x, y]) | minires.stack([x, y], axis=2)
block_diag || minires.concatenate([ops.pad(m, width=((0, 0), (0, 4))), ops.pad(m, width=((0, 0), \
(4, 0)))])
atleast_2d atleast_1d atleast_3d | torch.atleast_2d(v) | v[None]
meshgrid | torch.meshgrid(v, w, indexing="ij") | np.meshgrid(v, w, indexing="ij")
cartesian_prod || [[p, q] for p in v for q in w]
combinations || [[v[i], v[j]] for i in range(4) for j in range(i)]
broadcast_tensors | torch.broadcast_tensors(x, v) | [x, ops.broadcast_to(v, shape=x.shape)]
broadcast_shapes | torch.broadcast_shapes((3, 1), (4,)) | np.broadcast_shapes((3, 1), (4,))
isin | torch.isin(n, n[0]) | np.isin(n, n[0])
bucketize searchsorted | torch.bucketize(x, torch.tensor([0.2, 0.5])) | np.searchsorted([0.2, \
0.5], x)
unravel_index | torch.unravel_index(labels, (3, 4))[1] | np.unravel_index(labels, (3, 4))[1]
einsum | torch.einsum("nk,km->nm", x, m) | x @ m | with axes swapped and summed as the letters say
tensordot | torch.tensordot(x, m, 1) | x @ m
chain_matmul | torch.chain_matmul(x, m, m) | x @ m @ m
cdist | torch.cdist(x, y) | ((x[:, None] - y) ** 2).sum(2).sqrt()
trapezoid trapz | torch.trapezoid(v) | (v[1:] + v[:-1]).sum() / 2
cumulative_trapezoid | torch.cumulative_trapezoid(v) | np.cumsum((v[1:] + v[:-1]) / 2)
gradient | torch.gradient(v)[0] | np.gradient(v)
frobenius_norm norm_except_dim native_norm || (x * x).sum().sqrt()
nuclear_norm || np.linalg.norm(m, "nuc")
histogramdd || np.histogramdd(x.numpy())
matrix_rank || np.linalg.matrix_rank(m)
lu_unpack svd_lowrank pca_lowrank lobpcg || np.linalg.svd(m)
segment_reduce || minires.stack([v[:1].sum(), v[1:].sum()])
fft || np.fft.fft(v)
linalg || np.linalg.svd(m) | NumPy has the functions by the same names, without gradients
special || np.vectorize(math.erf)(x) | of expit minires.sigmoid, of others what their names give
masked || minires.where(mask, x, 0.0).sum()

# Layers: functions of nn.functional
binary_cross_entropy_with_logits || F.binary_cross_entropy_with_logits(y, x)
kl_div || F.kl_div(x.log(), x)
conv2d convolution || F.conv2d(images, filters) | channels last
fill_ zero_ || x.fill_(0.0)
dropout dropout_ native_dropout || F.dropout(x, 0.5, training=True)
batch_norm native_batch_norm | torch.batch_norm(images, None, None, None, None, True, 0.1, 1e-5, \
False) \
| F.batch_norm(images, None, None, training=True)
native_layer_norm native_group_norm || F.layer_norm(x, 4)
max_pool2d | torch.max_pool2d(images, 2) | F.max_pool2d(images, 2)
constant_pad_nd | torch.constant_pad_nd(x, (1, 2)) | ops.pad(x, width=((0, 0), (1, 2)))
feature_dropout feature_dropout_ || F.dropout2d(images, 0.5)
embedding_renorm_ || m / (m * m).sum(1, keepdims=True).sqrt().clip(low=1.0)
rnn_tanh rnn_tanh_cell || (nn.Linear(4, 5)(x) + nn.Linear(5, 5)(h)).tanh() | a step, in a loop
rnn_relu rnn_relu_cell || (nn.Linear(4, 5)(x) + nn.Linear(5, 5)(h)).relu() | a step, in a loop
gru gru_cell || (1 - z) * g + z * h | a step: the gate z is a sigmoid and g a tanh of linear layers
lstm lstm_cell || o * (f * c + i * g).tanh() | a step: gates i, f, o are sigmoids of linear layers
grid_sampler grid_sampler_2d grid_sampler_3d affine_grid_generator || images[:, ::-1] | by indices

# Dtypes: their NumPy names
half | | minires.float16
bfloat16 || minires.float16 | NumPy has no bfloat16; float32 has its range
float double || minires.float32
int8 | | np.int8
uint16 | | np.uint16
uint32 | | np.uint32
uint64 | | np.uint64
int16 short || minires.int16
int long || minires.int64
bool || np.bool_
dtype || np.dtype("float32")
finfo || np.finfo("float32").eps
iinfo || np.iinfo("int64").max
promote_types result_type || np.promote_types("float32", "float16")
can_cast || np.can_cast("float32", "float64")
FloatTensor HalfTensor BFloat16Tensor || Tensor([1.0, 2.0])
DoubleTensor || Tensor([1.0, 2.0], dtype="float64")
LongTensor IntTensor ShortTensor CharTensor ByteTensor || Tensor(np.array([1, 2]))
BoolTensor || Tensor([True, False])
get_default_dtype set_default_dtype set_default_tensor_type || Tensor([1.0], dtype="float64") | each
is_tensor || isinstance(x, Tensor)
is_storage || isinstance(x.data, np.ndarray)
typename || type(x).__name__
Size || tuple(x.shape)
inf | torch.inf | np.inf
nan | torch.nan | np.nan
pi | torch.pi | np.pi
e | torch.e | np.e
newaxis || x[:, None]
strided channels_last channels_last_3d contiguous_format preserve_format memory_format layout \
legacy_contiguous_format jagged || images | channels are last always

# Gradients and modes
autograd || minires.grad(loss, list(net.parameters())) | a Function is a minires.engine.op with \
its vjp, a Variable a Tensor, and set_detect_anomaly detect_nonfinite
is_inference_mode_enabled is_inference || minires.is_grad_enabled()
set_anomaly_enabled is_anomaly_enabled is_anomaly_check_nan_enabled || minires.detect_nonfinite()
func vmap functional || minires.grad(loss, list(net.parameters())) | create_graph=True for higher \
ones
jit compiler fx export || minires.compile(net.eval(), x)
profiler || minires.profile()
onnx || from minires.interop import export_onnx | export_onnx(net, "net.onnx", (32, 32, 3))
hub || models.resnet18()
overrides library || minires.engine.op | operations and their rules

# Devices: texts, "cpu" and "cuda"
accelerator || minires.cuda.is_available()
xpu mps mtia cpu || minires.use("cpu") | devices are "cpu" and "cuda"
backends || pass | of cudnn nothing need be set; devices are "cpu" and "cuda"
set_default_device get_default_device || minires.use("cpu")
get_device_module Stream Event || minires.use("cpu")
amp autocast GradScaler || minires.training.MixedPrecision(net, optimizer)

# Randomness: one generator, on the host
seed random | | minires.manual_seed(np.random.SeedSequence().entropy)
initial_seed || minires.random.generator().bit_generator.seed_seq.entropy
get_rng_state || rng_state = minires.random.generator().bit_generator.state
set_rng_state || minires.random.generator().bit_generator.state = rng_state | what was read \
before
distributions || minires.random.generator().normal(0, 1, 3) | log-probabilities written out: of \
classes F.log_softmax(x, 1)
default_generator Generator thread_safe_generator || minires.random.generator() | NumPy's; \
manual_seed starts it anew
use_deterministic_algorithms are_deterministic_algorithms_enabled \
is_deterministic_algorithms_warn_only_enabled set_deterministic_debug_mode \
get_deterministic_debug_mode || pass | the same seed gives the same bits always
set_printoptions || np.set_printoptions(precision=3) | which Tensors follow
get_num_interop_threads set_num_interop_threads init_num_threads || minires.get_num_threads()
set_float32_matmul_precision get_float32_matmul_precision set_flush_denormal || pass | as NumPy \
does
package serialization storage UntypedStorage TypedStorage Storage FloatStorage DoubleStorage \
LongStorage IntStorage ShortStorage ByteStorage CharStorage BoolStorage HalfStorage \
BFloat16Storage \
ComplexFloatStorage ComplexDoubleStorage || x.numpy()

! Threads and contexts of automatic mixed precision: fit(amp=True) and training.MixedPrecision do \
that
autocast_* clear_autocast_cache is_autocast_* get_autocast_* set_autocast_*

! Quantisation and the small number formats: arrays are of NumPy's dtypes
ao choose_qparams_optimized empty_quantized fake_quantize_* fbgemm_* fused_moving_avg_obs_fake_quant
per_channel_* per_tensor_* quantization quantize_* quantized_* qint* quint* QInt* QUInt*
bit bits* float4_* float8_* int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 uint4 uint5 \
uint6 uint7

! Sparse and nested tensors: arrays are dense
sparse* nested *_indices_copy indices_copy values_copy dsmm hsmm hspmm saddmm spmm

! Complex numbers: the engine differentiates real ones
complex32 complex64 complex128

! Many machines and processes: one process trains
distributed futures Future fork wait monitor multiprocessing \
prepare_multiprocessing_environment

! Other libraries' kernels: there is one implementation, that of minires.kernels
cudnn_* miopen_* mkldnn_* batch_norm_* has_lapack has_mkl has_openmp has_spectral \
is_vulkan_available
compiled_with_cxx11_abi

! The compiler's own types: minires.compile has none
*Type *TypeBuilder Script* JITException CompilationUnit FunctionSchema Graph GraphExecutorState
AliasDb Argument ArgumentSpec CompleteArgumentSpec Block Capsule Code CallStack Node Use Value
SymBool SymFloat SymInt sym_* cond while_loop import_ir_module* parse_ir parse_schema
parse_type_comment merge_type_from_type_comment unify_type_list LiteScriptModule StaticModule
TracingState InferredType IODescriptor OperatorInfo Gradient FileCheck ErrorReport ExecutionPlan
DeepCopyMemoTable LockingLogger LoggerBase NoopLogger AggregationType AVG SUM Tag Type
BufferDict ModuleDict ParameterDict

! PyTorch's insides: nothing that a script would call
AcceleratorError FatalError OutOfMemoryError BenchmarkConfig BenchmarkExecutionStats
ThroughputBenchmark DeserializationStorageContext SerializationStorageContext DisableTorchFunction*
DispatchKey DispatchKeySet ExcludeDispatchKeyGuard PRIVATE_OPS PyTorchFileReader PyTorchFileWriter
StorageBase USE_GLOBAL_DEPS USE_RTLD_GLOBAL_WITH_LIBTORCH cpp classes builtins return_types
torch_version version testing signal types windows quasirandom platform get_file_path \
profiler_allow_* classproperty
is_warn_always_enabled set_warn_always index_* TYPE_CHECKING
"""
