"""The attributes of torch.Tensor that minires writes another way. `table` has the format."""

ROWS = """
# Arithmetic: the operators record the same graph
add | x.add(y) | x.add(y)
sub subtract | x.sub(y) | x.sub(y)
mul multiply | x.mul(y) | x.mul(y)
div divide true_divide | x.div(y) | x.div(y)
pow float_power | x.pow(2) | x.pow(2)
neg negative | x.neg() | -x
positive | x.positive() | +x
matmul mm | x.matmul(m) | x.matmul(m)
bmm | a.bmm(b) | a.bmm(b)
mv | x.mv(v) | x @ v
dot inner vdot | v.dot(w) | (v * w).sum()
outer ger | v.outer(w) | v[:, None] * w
kron | v.kron(w) | (v[:, None] * w).reshape(-1)
square | x.square() | x * x
rsqrt | x.rsqrt() | 1 / x.sqrt()
reciprocal | x.reciprocal() | 1 / x
exp2 | x.exp2() | 2 ** x
expm1 | x.expm1() | x.exp() - 1
log1p | x.log1p() | (1 + x).log()
log2 | x.log2() | x.log() / np.log(2)
log10 | x.log10() | x.log() / np.log(10)
addcmul | x.addcmul(x, y, value=0.5) | x + 0.5 * x * y
addcdiv | x.addcdiv(x, y, value=0.5) | x + 0.5 * x / y
addmm | x.addmm(x, m, alpha=2) | x + 2 * (x @ m)
addbmm | (a @ b)[0].addbmm(a, b) | (a @ b)[0] + (a @ b).sum(0)
baddbmm | (a @ b).baddbmm(a, b) | a @ b + a @ b
addmv | v.addmv(m, w) | v + m @ w
addr | m.addr(v, w) | m + v[:, None] * w
lerp | x.lerp(y, 0.3) | x + 0.3 * (y - x)
logaddexp | x.logaddexp(y) | ops.logsumexp(minires.stack([x, y]), axis=0)
logaddexp2 | x.logaddexp2(y) | (2 ** x + 2 ** y).log() / np.log(2)
logsumexp | x.logsumexp(1) | ops.logsumexp(x, axis=1)
logit | x.logit() | (x / (1 - x)).log()
hypot | x.hypot(y) | (x * x + y * y).sqrt()
xlogy | x.xlogy(x) | x * x.log()
ldexp | x.ldexp(y) | x * 2 ** y
sinh | x.sinh() | (x.exp() - (-x).exp()) / 2
cosh | x.cosh() | (x.exp() + (-x).exp()) / 2
asinh arcsinh | x.asinh() | (x + (x * x + 1).sqrt()).log()
acosh arccosh | (1 + x).acosh() | (1 + x + ((1 + x) ** 2 - 1).sqrt()).log()
atanh arctanh | x.atanh() | ((1 + x) / (1 - x)).log() / 2
deg2rad | x.deg2rad() | x * (np.pi / 180)
rad2deg | x.rad2deg() | x * (180 / np.pi)
absolute | x.absolute() | x.abs()
copysign | x.copysign(y) | x.abs() * minires.where(y < 0, -1.0, 1.0)
sign sgn | y.sign() | ops.sign(y)
maximum fmax | x.maximum(y) | x.maximum(y)
minimum fmin | x.minimum(y) | x.minimum(y)
clamp | x.clamp(min=0.2, max=0.8) | x.clamp(min=0.2, max=0.8)
clamp_min | x.clamp_min(0.2) | x.clip(low=0.2)
clamp_max | x.clamp_max(0.8) | x.clip(high=0.8)
nan_to_num | x.nan_to_num() | minires.where(x == x, x, 0.0)
where | x.where(mask, y) | minires.where(mask, x, y)
masked_fill | x.masked_fill(mask, 0.0) | x.masked_fill(mask, 0.0)
masked_scatter | x.masked_scatter(mask, y[mask]) | minires.where(mask, y, x) | values of one shape
heaviside | y.heaviside(y) | minires.where(y > 0, 1.0, 0.0)
hardshrink | y.hardshrink(0.5) | minires.where(y.abs() > 0.5, y, 0.0)
prelu | y.prelu(weight[:1]) | minires.where(y > 0, y, 0.5 * y) | a learned slope is a Parameter
softmax | x.softmax(1) | x.softmax(1)
log_softmax | x.log_softmax(1) | x.log_softmax(1)
sinc || Tensor(np.sinc(x.numpy())) | values without a gradient

# Comparison: the operators, whose results are masks
eq | x.eq(y) | x.eq(y)
ne not_equal | x.ne(y) | x.ne(y)
lt less | x.lt(y) | x.lt(y)
le less_equal | x.le(y) | x.le(y)
gt greater | x.gt(y) | x.gt(y)
ge greater_equal | x.ge(y) | x.ge(y)
logical_and bitwise_and | mask.logical_and(x > y) | mask & (x > y)
logical_or bitwise_or | mask.logical_or(x > y) | ops.logical_or(mask, x > y)
logical_not bitwise_not | mask.logical_not() | ~mask
logical_xor bitwise_xor | mask.logical_xor(x > y) | mask != (x > y)
isnan | x.isnan() | x.isnan()
isinf | x.isinf() | x.isinf()
isposinf | x.isposinf() | x == np.inf
isneginf | x.isneginf() | x == -np.inf
isfinite | x.isfinite() | x.isfinite()
isclose | x.isclose(x) | np.isclose(x, x)
allclose | x.allclose(x) | np.allclose(x, x)
equal | x.equal(y) | np.array_equal(x, y) | one True or False
all | mask.all(1) | mask.all(1)
any | mask.any(1) | mask.any(1)
signbit | y.signbit() | y < 0
isreal | x.isreal() | x == x | every number here is real
is_nonzero || bool(x.sum())

# Shape: NumPy's names and indices, where gradients flow all the same
view reshape_as view_as | x.view(2, -1) | x.view(2, -1)
permute | a.permute(0, 2, 1) | a.permute(0, 2, 1)
movedim moveaxis | a.movedim(2, 0) | a.transpose(2, 0, 1)
t | x.t() | x.t()
mT | a.mT | a.swapaxes(-1, -2)
swapdims | a.swapdims(1, 2) | a.swapaxes(1, 2)
unsqueeze | x.unsqueeze(1) | x.unsqueeze(1)
unflatten | x.unflatten(1, (2, 2)) | x.reshape(3, 2, 2)
ravel | x.ravel() | x.reshape(-1)
expand broadcast_to expand_as | v.expand(3, 4) | v.expand(3, 4)
repeat tile | x.repeat(2, 3) | minires.cat([minires.cat([x] * 3, dim=1)] * 2, dim=0)
repeat_interleave | x.repeat_interleave(2, 1) | x[:, np.arange(x.shape[1]).repeat(2)] | without an \
axis, of x.reshape(-1)
flip fliplr | x.flip(1) | x[:, ::-1] | along axis 0 x[::-1]
flipud | x.flipud() | x[::-1]
roll | x.roll(1, 1) | x[:, np.roll(np.arange(4), 1)]
rot90 | x.rot90() | x.T[::-1]
split chunk tensor_split hsplit unsafe_chunk unsafe_split | x.split(2, 1) \
| [x[:, i : i + 2] for i in range(0, x.shape[1], 2)]
split_with_sizes unsafe_split_with_sizes | a.split_with_sizes([1, 3], 2)[1] | a[..., 1:]
vsplit | x[:2].vsplit(2) | [x[:1], x[1:2]]
dsplit | a.dsplit(2) | [a[..., :2], a[..., 2:]]
unbind | x.unbind(0) | list(x)
unfold as_strided | v.unfold(0, 2, 1) | v[np.arange(3)[:, None] + np.arange(2)]
contiguous clone || x + 0 | a copy in the graph; contiguous() can be left out, x.copy() is a leaf
dim ndimension | x.dim() | x.dim()
numel nelement | x.numel() | x.numel()
size | x.size(1) | x.size(1)
dim_order || tuple(range(x.ndim))
resize resize_ resize_as resize_as_ || x.reshape(-1)[:6].reshape(2, 3)

# Picking: indices, in which arrays of integers and masks may stand
select | x.select(1, 2) | x[:, 2]
narrow narrow_copy | x.narrow(1, 1, 2) | x[:, 1:3]
index_select | x.index_select(1, labels) | x[:, labels]
masked_select | x.masked_select(mask) | x[mask]
take | x.take(labels) | x.reshape(-1)[labels]
gather take_along_dim | x.gather(1, labels[:, None]) | ops.take_along(x, indices=labels[:, None], \
axis=1)
diagonal diag | m.diagonal() | m[np.arange(4), np.arange(4)] | diag of a vector is v * np.eye(4)
diag_embed diagflat | v.diag_embed() | v * np.eye(4, dtype="float32")
trace | m.trace() | m[np.arange(4), np.arange(4)].sum()
tril | m.tril(1) | m * np.tri(4, k=1, dtype="float32") | k is the diagonal, 0 by default
triu | m.triu(1) | m * (1 - np.tri(4, k=0, dtype="float32")) | k is the diagonal less 1
nonzero argwhere nonzero_static | mask.nonzero() | np.argwhere(mask)
scatter_add index_add index_put | v.scatter_add(0, labels, w[:3]) \
| v + ops.scatter(w[:3], key=labels, shape=v.shape)
scatter_reduce index_reduce || ops.scatter(w[:3], key=labels, shape=v.shape) | sums; others by where
index_fill | x.index_fill(1, labels, 0.0) | minires.where(np.isin(np.arange(4), labels), 0.0, x)
index_copy || minires.where(np.arange(4) == 2, x[:, :1], x)
select_scatter slice_scatter | x.select_scatter(v, 0, 1) | minires.concatenate([x[:1], v[None], \
x[2:]])
diagonal_scatter || minires.where(np.eye(4, dtype=bool), v, m)
as_strided_scatter slice_inverse scatter || minires.where(mask, y, x)
put || ops.scatter(w[:3], key=labels, shape=v.shape)
sort msort | x.sort(1).values | x[np.arange(3)[:, None], np.argsort(x, 1)] | the indices are \
np.argsort(x, 1)
argsort | x.argsort(1) | np.argsort(x, 1) | of -x for descending
topk | x.topk(2).values | x[np.arange(3)[:, None], np.argsort(-x, 1)[:, :2]] | the indices are \
np.argsort(-x, 1)[:, :2]
kthvalue | v.kthvalue(2).values | v[np.argsort(v)[1]]
unique unique_consecutive | n.unique() | np.unique(n)

# Reductions: NumPy's axis and keepdims
amax | x.amax(1) | x.max(axis=1) | of values that tie the first gets the gradient
amin | x.amin(1) | x.min(axis=1) | of values that tie the first gets the gradient
aminmax | x.aminmax() | (x.min(), x.max())
norm | x.norm() | (x * x).sum().sqrt() | whose gradient at 0 is NaN; x.abs().sum() for p=1
dist | x.dist(y) | ((x - y) ** 2).sum().sqrt()
prod | x.prod(1) | x.prod(1)
nansum | x.nansum() | minires.where(x == x, x, 0.0).sum()
nanmean | x.nanmean() | x[x == x].mean()
median nanmedian | v[:3].median() | v[:3][np.argsort(v[:3])[1]] | of four, PyTorch takes the lower
quantile nanquantile | x.quantile(0.25) | np.quantile(x, 0.25) | a value without a gradient
mode | n.mode(1).values | np.array([np.bincount(row).argmax() for row in n.numpy()])
count_nonzero | mask.count_nonzero() | np.count_nonzero(mask)
bincount | labels.bincount() | np.bincount(labels)
histc | x.histc(5, 0, 1) | np.histogram(x, 5, (0, 1))[0]
histogram | x.histogram(5).hist | np.histogram(x, 5)[0] | the other of the pair are the edges
cumsum | x.cumsum(1) | x @ np.tri(4, dtype="float32").T
cumprod | x.cumprod(1) | (x.log() @ np.tri(4, dtype="float32").T).exp() | of positive numbers
logcumsumexp | x.logcumsumexp(1) | (x.exp() @ np.tri(4, dtype="float32").T).log()
cummax | x.cummax(1).values | np.maximum.accumulate(x.numpy(), 1) | values without a gradient
cummin | x.cummin(1).values | np.minimum.accumulate(x.numpy(), 1) | values without a gradient
diff | x.diff() | x[:, 1:] - x[:, :-1]
sum_to_size | x.sum_to_size(1, 4) | x.sum(0, keepdims=True)
renorm || x / (x * x).sum(1, keepdims=True).sqrt()
cov | x.cov() | np.cov(x) | values without a gradient
corrcoef | x.corrcoef() | np.corrcoef(x) | values without a gradient

# Dtypes and devices: a dtype is its NumPy name, a device a text
type || x.astype("float32")
float | n.float() | n.float()
double | x.double() | x.double()
half bfloat16 | x.half() | x.half()
int | x.int() | x.int()
long | x.long() | x.long()
short | x.short() | x.astype("int16")
char | x.char() | x.astype("int8")
byte | x.byte() | x.astype("uint8")
bool | x.bool() | x.bool()
type_as | n.type_as(x) | n.astype(x.dtype)
is_cuda || x.device != "cpu"
is_cpu || x.device == "cpu"
get_device || x.device
is_floating_point | x.is_floating_point() | x.dtype.kind == "f"
is_signed | x.is_signed() | x.dtype.kind in "if"
itemsize element_size | x.itemsize | x.dtype.itemsize
nbytes | x.nbytes | x.size * x.dtype.itemsize
is_complex is_conj is_neg | x.is_complex() | False | numbers here are real
conj conj_physical resolve_conj resolve_neg real | x.conj() | x | numbers here are real
H adjoint mH | x.H | x.T | numbers here are real
is_quantized is_nested is_mkldnn | x.is_quantized | False | there are dense arrays only
is_sparse is_sparse_csr is_coalesced | x.is_sparse | False | there are dense arrays only
to_dense dequantize coalesce to_padded_tensor | x.to_dense() | x | tensors are dense already
to_sparse to_sparse_bsc to_sparse_bsr to_sparse_coo to_sparse_csc to_sparse_csr || x | tensors \
are dense
indices col_indices row_indices ccol_indices crow_indices || np.argwhere(x) | tensors are dense
values || x[x != 0] | tensors are dense
dense_dim sparse_dim | x.dense_dim() | x.ndim | tensors are dense
is_meta is_ipu is_maia is_mps is_mtia is_vulkan is_xla is_xpu | x.is_meta | False | CPU and CUDA \
only
xpu ipu mtia to_mkldnn || x.to("cpu") | devices are "cpu" and "cuda"
pin_memory share_memory_ record_stream || x | it needs no such call
is_pinned is_shared is_distributed is_inference || False
is_same_size | x.is_same_size(y) | x.shape == y.shape
is_contiguous | x.is_contiguous() | x.data.flags.c_contiguous
is_set_to || np.shares_memory(x.data, y.data)
stride || x.data.strides | in bytes
storage untyped_storage storage_offset storage_type data_ptr const_data_ptr || x.data.ctypes.data
layout | | "strided" | there is no other
hash_tensor || hash(x.numpy().tobytes())

# New tensors: made from arrays
new_zeros | x.new_zeros(2, 3) | Tensor(np.zeros((2, 3), x.dtype))
new_ones | x.new_ones(2, 3) | Tensor(np.ones((2, 3), x.dtype))
new_full | x.new_full((2, 3), 0.5) | Tensor(np.full((2, 3), 0.5, x.dtype))
new_empty new_empty_strided new || Tensor(np.empty((2, 3), x.dtype))
new_tensor | x.new_tensor([1.0, 2.0]) | Tensor([1.0, 2.0], dtype=x.dtype)

# Gradients
grad_fn || x.node | the graph's node, None for what no gradient is wanted of
detach_ || x = x.detach()
retains_grad || False | retain_grad() asks for it
register_post_accumulate_grad_hook || p.register_hook(print) | sees each gradient before it is added
output_nr grad_dtype name volatile reinforce || x.requires_grad
module_load set_ || p.copy_(p.detach())

# In place: copy_ writes into a tensor, all else is new
add_ || x.copy_(x + y) | under no_grad where x is a parameter
sub_ subtract_ || x.copy_(x - y) | under no_grad where x is a parameter
mul_ multiply_ || x.copy_(x * y) | under no_grad where x is a parameter
div_ divide_ true_divide_ || x.copy_(x / y) | under no_grad where x is a parameter
squeeze_ || x = x.squeeze() | tensors are not reshaped in place
transpose_ || x = x.transpose(1, 0) | tensors are not reshaped in place
swapaxes_ || x = x.swapaxes(0, 1) | tensors are not reshaped in place
clip_ || x = x.clip(0.2, 0.8)
abs_ || x = x.abs()
exp_ || x = x.exp()
log_ || x = x.log()
sqrt_ || x = x.sqrt()
relu_ || x = x.relu()
sigmoid_ || x = x.sigmoid()
tanh_ || x = x.tanh()
fill_diagonal_ || x.data[np.arange(3), np.arange(3)] = 0
scatter_ || x[np.arange(3), labels] = 1.0 | along axis 1; or F.one_hot(labels, 4)
index_put_ index_copy_ index_fill_ masked_fill_ put_ || x[mask] = 0.0 | of a tensor \
outside graphs
uniform_ || nn.init.uniform_(x, 0, 1)
normal_ || nn.init.normal_(x, 0, 1)
random_ || x.copy_(minires.random.generator().integers(0, 10, x.shape))
bernoulli_ bernoulli || x.copy_(minires.random.generator().random(x.shape) < 0.5)
exponential_ || x.copy_(minires.random.generator().exponential(1, x.shape))
geometric_ || x.copy_(minires.random.generator().geometric(0.5, x.shape))
cauchy_ || x.copy_(minires.random.generator().standard_cauchy(x.shape))
log_normal_ || x.copy_(minires.random.generator().lognormal(0, 1, x.shape))
map_ map2_ apply_ || x.copy_([[abs(value) for value in row] for row in x.tolist()])
multinomial || minires.random.generator().choice(4, 2, replace=False, p=[0.1, 0.2, 0.3, 0.4])

# Values through NumPy: there is no gradient rule; declare one with minires.engine.op where you \
need it
sin | x.sin() | Tensor(np.sin(x.numpy()))
cos | x.cos() | Tensor(np.cos(x.numpy()))
tan | x.tan() | Tensor(np.tan(x.numpy()))
asin arcsin | x.asin() | Tensor(np.arcsin(x.numpy()))
acos arccos | x.acos() | Tensor(np.arccos(x.numpy()))
atan arctan | x.atan() | Tensor(np.arctan(x.numpy()))
atan2 arctan2 | x.atan2(y) | Tensor(np.arctan2(x.numpy(), y.numpy()))
angle | y.angle() | Tensor(np.angle(y.numpy()))
imag || Tensor(np.imag(x.numpy()))
floor | y.floor() | Tensor(np.floor(y.numpy()))
ceil | y.ceil() | Tensor(np.ceil(y.numpy()))
round | y.round() | Tensor(np.round(y.numpy()))
trunc fix | y.trunc() | Tensor(np.trunc(y.numpy()))
frac | y.frac() | Tensor(np.modf(y.numpy())[0])
frexp | y.frexp().mantissa | Tensor(np.frexp(y.numpy())[0])
remainder | y.remainder(0.3) | Tensor(np.remainder(y.numpy(), np.float32(0.3)))
fmod | y.fmod(0.3) | Tensor(np.fmod(y.numpy(), np.float32(0.3)))
floor_divide | y.floor_divide(0.3) | Tensor(np.floor_divide(y.numpy(), np.float32(0.3)))
gcd | n.gcd(n) | np.gcd(n.numpy(), n.numpy())
lcm | n.lcm(n) | np.lcm(n.numpy(), n.numpy())
bitwise_left_shift | n.bitwise_left_shift(1) | np.left_shift(n.numpy(), 1)
bitwise_right_shift | n.bitwise_right_shift(1) | np.right_shift(n.numpy(), 1)
nextafter | x.nextafter(y) | np.nextafter(x.numpy(), y.numpy())
erf | x.erf() | np.vectorize(math.erf)(x)
erfc | x.erfc() | np.vectorize(math.erfc)(x)
lgamma | x.lgamma() | np.vectorize(math.lgamma)(x)
mvlgamma | (1 + x).mvlgamma(1) | np.vectorize(math.lgamma)(1 + x)
i0 | x.i0() | np.i0(x)
cross | a[:, :, :1].cross(a[:, :, 1:2], dim=1) | np.cross(a[:, :, :1], a[:, :, 1:2], axis=1)
inverse pinverse | m.inverse() | Tensor(np.linalg.inv(m.numpy()))
det logdet slogdet | m.det() | np.linalg.det(m)
matrix_power | m.matrix_power(3) | m @ m @ m | with a gradient
matrix_exp || np.eye(4) + m + m @ m / 2 + m @ m @ m / 6 | the first terms of the series
cholesky | (m @ m.T).cholesky() | np.linalg.cholesky(m @ m.T)
cholesky_inverse cholesky_solve | | np.linalg.inv(m @ m.T)
qr geqrf orgqr ormqr || np.linalg.qr(m)
svd || np.linalg.svd(m)
eig symeig || np.linalg.eigvals(m)
lstsq || np.linalg.lstsq(m, x.T)
solve lu lu_solve triangular_solve || np.linalg.solve(m, v)
stft istft || np.fft.rfft(v.numpy())

! Special functions: neither NumPy nor Python has them; SciPy does
digamma* polygamma* erfinv* igamma* igammac*

! Sparse and quantised tensors: arrays here are dense and of NumPy's dtypes
sparse_* smm sspaddmm resize_as_sparse_ int_repr q_* qscheme

! Complex numbers: the engine differentiates real ones
cdouble cfloat chalf

! PyTorch's insides: nothing that a script would call
as_subclass index
"""
