"""The functions of torch.nn.functional that minires writes another way. `table` has the format."""

ROWS = """
# Activations: in operations that exist, with their gradients
elu | F.elu(y) | minires.where(y > 0, y, y.clip(high=0).exp() - 1)
celu | F.celu(y, 2.0) | minires.where(y > 0, y, 2 * ((y.clip(high=0) / 2).exp() - 1))
selu | F.selu(y) | 1.0507009873554805 * minires.where(y > 0, y, 1.6732632423543772 * \
(y.clip(high=0).exp() - 1))
relu6 | F.relu6(y) | y.clip(0, 6)
hardtanh | F.hardtanh(y) | y.clip(-1, 1)
hardsigmoid | F.hardsigmoid(y) | (y / 6 + 0.5).clip(0, 1)
hardswish | F.hardswish(y) | y * (y / 6 + 0.5).clip(0, 1)
hardshrink | F.hardshrink(y) | minires.where(y.abs() > 0.5, y, 0.0)
softshrink | F.softshrink(y) | y - y.clip(-0.5, 0.5)
tanhshrink | F.tanhshrink(y) | y - y.tanh()
softplus | F.softplus(y) | ops.logsumexp(minires.stack([y, 0 * y]), axis=0)
softsign | F.softsign(y) | y / (1 + y.abs())
softmin | F.softmin(y, 1) | F.softmax(-y, 1)
logsigmoid | F.logsigmoid(y) | -(ops.logsumexp(minires.stack([-y, 0 * y]), axis=0))
relu_ || y = F.relu(y)
leaky_relu_ || y = F.leaky_relu(y, 0.01)
mish | F.mish(y) | y * (ops.logsumexp(minires.stack([y, 0 * y]), axis=0)).tanh()
glu | F.glu(y) | y[:, :2] * y[:, 2:].sigmoid()
prelu | F.prelu(y, weight[:1]) | minires.where(y > 0, y, weight[0] * y)
rrelu | F.rrelu(y, 0.2, 0.2) | F.leaky_relu(y, 0.2) | where it is not training; a slope at random \
else
threshold | F.threshold(y, 0.1, 20.0) | minires.where(y > 0.1, y, 20.0)
gumbel_softmax || F.softmax(y + Tensor(minires.random.generator().gumbel(size=y.shape)), -1)

# Losses: written out, in a mean as by default there
huber_loss | F.huber_loss(x, y, delta=0.5) | 0.5 * F.smooth_l1_loss(x, y, beta=0.5) | delta is both
poisson_nll_loss | F.poisson_nll_loss(y, x) | (y.exp() - x * y).mean()
gaussian_nll_loss | F.gaussian_nll_loss(y, x, x * x) | ((x * x).log() + (y - x) ** 2 / (x * \
x)).mean() / 2
soft_margin_loss | F.soft_margin_loss(y, y.sign()) | (1 + (-y * ops.sign(y)).exp()).log().mean()
hinge_embedding_loss | F.hinge_embedding_loss(x, y.sign()) \
| minires.where(y > 0, x, (1 - x).clip(low=0)).mean()
margin_ranking_loss | F.margin_ranking_loss(x, y, y.sign(), 0.1) \
| (-ops.sign(y) * (x - y) + 0.1).clip(low=0).mean()
multi_margin_loss | F.multi_margin_loss(y, labels) \
| ((1 - y[np.arange(3), labels][:, None] + y).clip(low=0).sum() - 3) / 12
multilabel_soft_margin_loss | F.multilabel_soft_margin_loss(y, mask.float()) \
| (F.relu(y) - y * mask + (1 + (-y.abs()).exp()).log()).mean()
cosine_embedding_loss | F.cosine_embedding_loss(x, y, labels * 0 + 1) \
| (1 - (x * y).sum(1) / ((x * x).sum(1) * (y * y).sum(1)).sqrt()).mean()
triplet_margin_loss triplet_margin_with_distance_loss | F.triplet_margin_loss(x, y, -y) \
| (((x - y) ** 2).sum(1).sqrt() - ((x + y) ** 2).sum(1).sqrt() + 1).clip(low=0).mean()
linear_cross_entropy || F.cross_entropy(x @ m, labels)
cosine_similarity | F.cosine_similarity(x, y) | (x * y).sum(1) / ((x * x).sum(1) * (y * \
y).sum(1)).sqrt()
pairwise_distance | F.pairwise_distance(x, y, eps=0) | ((x - y) ** 2).sum(1).sqrt()
pdist | F.pdist(x) | ((x[[0, 0, 1]] - x[[1, 2, 2]]) ** 2).sum(1).sqrt()

# Normalisation: means and variances over the axes that are meant, channels last
layer_norm | F.layer_norm(x, (4,)) | F.layer_norm(x, 4)
rms_norm | F.rms_norm(x, (4,), eps=1e-5) | x / ((x * x).mean(1, keepdims=True) + 1e-5).sqrt()
normalize | F.normalize(x) | x / (x * x).sum(1, keepdims=True).sqrt().clip(low=1e-12)
instance_norm | F.instance_norm(images) | F.group_norm(images, 3) | a channel is a group
group_norm | F.group_norm(images, 3) | F.group_norm(images, 3)
local_response_norm || images / (1 + 1e-4 * F.avg_pool2d((images ** 2).swapaxes(1, 3), (1, 1)) \
.swapaxes(1, 3)) ** 0.75 | batch norm took its place

# Convolution and pooling: in two dimensions, which serve for one too
conv1d | F.conv1d(sequences, kernels, padding=1) \
| F.conv2d(sequences[:, None], kernels[None], padding=(0, 1))[:, 0] | sequences (N, L, C)
conv_tbc || F.conv2d(sequences[:, None], kernels[None])[:, 0]
conv_transpose2d || F.conv_transpose2d(images, filters.swapaxes(2, 3))
conv_transpose1d || F.conv_transpose2d(sequences[:, None], kernels[None].swapaxes(2, 3))[:, 0]
conv3d conv_transpose3d || sum(F.conv2d(volumes[:, k], filters) for k in range(3)) | a slice of \
depth
avg_pool1d | F.avg_pool1d(sequences, 2) | F.avg_pool2d(sequences[:, None], (1, 2))[:, 0]
max_pool1d | F.max_pool1d(sequences, 2) | F.max_pool2d(sequences[:, None], (1, 2))[:, 0]
avg_pool3d adaptive_avg_pool3d || volumes.reshape(1, 2, 2, 4, 2, 4, 2, 3).mean((2, 4, 6))
max_pool3d adaptive_max_pool3d || volumes.reshape(1, 2, 2, 4, 2, 4, 2, 3).max(axis=(2, 4, 6))
adaptive_avg_pool1d | F.adaptive_avg_pool1d(sequences, 1) | sequences.mean(1, keepdims=True)
adaptive_max_pool1d | F.adaptive_max_pool1d(sequences, 1) | sequences.max(axis=1, keepdims=True)
adaptive_max_pool2d | F.adaptive_max_pool2d(images, 1) | images.max(axis=(1, 2), keepdims=True)
max_pool2d_with_indices max_pool1d_with_indices max_pool3d_with_indices \
adaptive_max_pool1d_with_indices adaptive_max_pool2d_with_indices adaptive_max_pool3d_with_indices \
|| F.max_pool2d(images, 2) | values only
lp_pool2d lp_pool1d lp_pool3d | F.lp_pool2d(images ** 2, 2, 2) \
| (4 * F.avg_pool2d(images ** 4, 2)).sqrt()
fractional_max_pool2d fractional_max_pool3d fractional_max_pool2d_with_indices \
fractional_max_pool3d_with_indices || F.max_pool2d(images, 2) | with windows of one size
max_unpool2d max_unpool1d max_unpool3d || images[:, np.arange(16) // 2][:, :, np.arange(16) // 2]
upsample upsample_nearest | F.upsample_nearest(images, scale_factor=2) \
| F.interpolate(images, scale_factor=2)
upsample_bilinear | F.upsample_bilinear(images, scale_factor=2) \
| F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=True)
pixel_shuffle | F.pixel_shuffle(many, 2) | many.reshape(2, 8, 8, 3, 2, 2).transpose(0, 1, 4, 2, \
5, 3) \
.reshape(2, 16, 16, 3)
pixel_unshuffle | F.pixel_unshuffle(images, 2) | images.reshape(2, 4, 2, 4, 2, 3) \
.transpose(0, 1, 3, 5, 2, 4).reshape(2, 4, 4, 12)
channel_shuffle native_channel_shuffle | F.channel_shuffle(many, 3) \
| many.reshape(2, 8, 8, 3, 4).swapaxes(3, 4).reshape(2, 8, 8, 12)
unfold fold || images[:, np.arange(6)[:, None] + np.arange(3)] | each window of three rows
grid_sample affine_grid || images[:, ::-1] | by indices; data.transforms has what training needs

# Other layers
dropout1d dropout3d feature_alpha_dropout || F.dropout2d(sequences[:, None])[:, 0] | whole \
channels of (N, L, C)
alpha_dropout || F.dropout(x) | with selu alone it would differ
bilinear | F.bilinear(x, y, tall) | ((x @ tall[0]) * y).sum(1, keepdims=True)
embedding | F.embedding(labels, m) | F.embedding(labels, m)
embedding_bag | F.embedding_bag(n, m) | F.embedding(n, m).mean(1)
multi_head_attention_forward || F.scaled_dot_product_attention(a, a, a) | of heads (N, heads, L, E)
grouped_mm scaled_mm scaled_grouped_mm || a @ b

# Names that are no functions
grad || minires.grad(loss, list(net.parameters())) | conv2d's own rules are ops.conv2d_dx and _dw
reproducibility_notes tf32_notes sparse_support_notes || F.conv2d.__doc__
BroadcastingList1 BroadcastingList2 BroadcastingList3 DType || F.Size | types, for annotations
boolean_dispatch handle_torch_function has_torch_function has_torch_function_unary \
has_torch_function_variadic assert_int_or_pair || F.pair(3) | a size as two numbers

! Losses and poolings without a short form here: nobody asked for them yet
ctc_loss multilabel_margin_loss

! PyTorch's insides: names that its functions use themselves
GRID_SAMPLE_* ScalingType SwizzleType
"""
