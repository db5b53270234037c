"""The layers of torch.nn that minires writes another way. `table` has the format."""

ROWS = """
# Activations: in `forward`, in operations that exist
ELU | nn.ELU()(y) | minires.where(y > 0, y, y.clip(high=0).exp() - 1)
CELU | nn.CELU(2.0)(y) | minires.where(y > 0, y, 2 * ((y.clip(high=0) / 2).exp() - 1))
SELU | nn.SELU()(y) | 1.0507009873554805 * minires.where(y > 0, y, 1.6732632423543772 * \
(y.clip(high=0).exp() - 1))
ReLU6 | nn.ReLU6()(y) | y.clip(0, 6)
Hardtanh | nn.Hardtanh()(y) | y.clip(-1, 1)
Hardsigmoid | nn.Hardsigmoid()(y) | (y / 6 + 0.5).clip(0, 1)
Hardswish | nn.Hardswish()(y) | y * (y / 6 + 0.5).clip(0, 1)
Hardshrink | nn.Hardshrink()(y) | minires.where(y.abs() > 0.5, y, 0.0)
Softshrink | nn.Softshrink()(y) | y - y.clip(-0.5, 0.5)
Tanhshrink | nn.Tanhshrink()(y) | y - y.tanh()
Softplus | nn.Softplus()(y) | ops.logsumexp(minires.stack([y, 0 * y]), axis=0)
Softsign | nn.Softsign()(y) | y / (1 + y.abs())
Softmin | nn.Softmin(1)(y) | F.softmax(-y, 1)
LogSigmoid | nn.LogSigmoid()(y) | -(ops.logsumexp(minires.stack([-y, 0 * y]), axis=0))
Softmax2d | nn.Softmax2d()(images) | F.softmax(images, -1) | channels are the last axis
Mish | nn.Mish()(y) | y * (ops.logsumexp(minires.stack([y, 0 * y]), axis=0)).tanh()
GLU | nn.GLU()(y) | y[:, :2] * y[:, 2:].sigmoid()
PReLU | nn.PReLU()(y) | minires.where(y > 0, y, nn.Parameter([0.25]) * y) | kept as self.slope
RReLU | nn.RReLU(0.2, 0.2)(y) | F.leaky_relu(y, 0.2) | a slope at random in training there
Threshold | nn.Threshold(0.1, 20.0)(y) | minires.where(y > 0.1, y, 20.0)

# Losses: written out, in a mean as by default there
HuberLoss | nn.HuberLoss(delta=0.5)(x, y) | 0.5 * nn.SmoothL1Loss(beta=0.5)(x, y) | delta is both
NLLLoss2d || nn.NLLLoss()(y, labels)
PoissonNLLLoss | nn.PoissonNLLLoss()(y, x) | (y.exp() - x * y).mean()
GaussianNLLLoss | nn.GaussianNLLLoss()(y, x, x * x) \
| ((x * x).log() + (y - x) ** 2 / (x * x)).mean() / 2
SoftMarginLoss | nn.SoftMarginLoss()(y, y.sign()) | (1 + (-y * ops.sign(y)).exp()).log().mean()
HingeEmbeddingLoss | nn.HingeEmbeddingLoss()(x, y.sign()) \
| minires.where(y > 0, x, (1 - x).clip(low=0)).mean()
MarginRankingLoss | nn.MarginRankingLoss(0.1)(x, y, y.sign()) \
| (-ops.sign(y) * (x - y) + 0.1).clip(low=0).mean()
MultiMarginLoss | nn.MultiMarginLoss()(y, labels) \
| ((1 - y[np.arange(3), labels][:, None] + y).clip(low=0).sum() - 3) / 12
MultiLabelSoftMarginLoss | nn.MultiLabelSoftMarginLoss()(y, mask.float()) \
| (F.relu(y) - y * mask + (1 + (-y.abs()).exp()).log()).mean()
CosineEmbeddingLoss | nn.CosineEmbeddingLoss()(x, y, labels * 0 + 1) \
| (1 - (x * y).sum(1) / ((x * x).sum(1) * (y * y).sum(1)).sqrt()).mean()
TripletMarginLoss TripletMarginWithDistanceLoss | nn.TripletMarginLoss()(x, y, -y) \
| (((x - y) ** 2).sum(1).sqrt() - ((x + y) ** 2).sum(1).sqrt() + 1).clip(low=0).mean()
LinearCrossEntropyLoss LinearCrossEntropyOptions || F.cross_entropy(x @ m, labels)
CosineSimilarity | nn.CosineSimilarity()(x, y) \
| (x * y).sum(1) / ((x * x).sum(1) * (y * y).sum(1)).sqrt()
PairwiseDistance | nn.PairwiseDistance(eps=0)(x, y) | ((x - y) ** 2).sum(1).sqrt()

# Normalisation: means and variances over the axes that are meant, channels last
RMSNorm | nn.RMSNorm(4, 1e-5)(x) | x / ((x * x).mean(1, keepdims=True) + 1e-5).sqrt()
InstanceNorm2d InstanceNorm3d | nn.InstanceNorm2d(3)(images) \
| nn.GroupNorm(3, 3, affine=False)(images) | a channel is a group
InstanceNorm1d | nn.InstanceNorm1d(3)(sequences) | nn.GroupNorm(3, 3, affine=False)(sequences) | a \
channel is a group
BatchNorm3d || nn.BatchNorm2d(3)(volumes.reshape(1, 4, 64, 3)).reshape(volumes.shape)
SyncBatchNorm || nn.BatchNorm2d(3) | there is one device
LocalResponseNorm CrossMapLRN2d || nn.BatchNorm2d(3) | which took its place

# Convolution and pooling: in two dimensions, which serve for one too
Conv1d || nn.Conv2d(3, 5, (1, 3), padding=(0, 1))(sequences[:, None])[:, 0] | sequences (N, L, C)
Conv3d ConvTranspose3d || sum(F.conv2d(volumes[:, k], filters) for k in range(3)) | a slice of depth
ConvTranspose1d || nn.ConvTranspose2d(3, 5, (1, 3))(sequences[:, None])[:, 0] | sequences (N, L, C)
AvgPool1d | nn.AvgPool1d(2)(sequences) | F.avg_pool2d(sequences[:, None], (1, 2))[:, 0]
MaxPool1d | nn.MaxPool1d(2)(sequences) | F.max_pool2d(sequences[:, None], (1, 2))[:, 0]
AvgPool3d AdaptiveAvgPool3d || volumes.reshape(1, 2, 2, 4, 2, 4, 2, 3).mean((2, 4, 6))
MaxPool3d AdaptiveMaxPool3d || volumes.reshape(1, 2, 2, 4, 2, 4, 2, 3).max(axis=(2, 4, 6))
AdaptiveAvgPool1d | nn.AdaptiveAvgPool1d(1)(sequences) | sequences.mean(1, keepdims=True)
AdaptiveMaxPool1d | nn.AdaptiveMaxPool1d(1)(sequences) | sequences.max(axis=1, keepdims=True)
AdaptiveMaxPool2d | nn.AdaptiveMaxPool2d(1)(images) | images.max(axis=(1, 2), keepdims=True)
LPPool2d LPPool1d LPPool3d | nn.LPPool2d(2, 2)(images ** 2) | (4 * F.avg_pool2d(images ** 4, \
2)).sqrt()
FractionalMaxPool2d FractionalMaxPool3d || nn.MaxPool2d(2) | with windows of one size
MaxUnpool2d MaxUnpool1d MaxUnpool3d || images[:, np.arange(16) // 2][:, :, np.arange(16) // 2]
UpsamplingNearest2d | nn.UpsamplingNearest2d(scale_factor=2)(images) \
| nn.Upsample(scale_factor=2)(images)
UpsamplingBilinear2d | nn.UpsamplingBilinear2d(scale_factor=2)(images) \
| nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)(images)
PixelShuffle | nn.PixelShuffle(2)(many) | many.reshape(2, 8, 8, 3, 2, 2) \
.transpose(0, 1, 4, 2, 5, 3).reshape(2, 16, 16, 3)
PixelUnshuffle | nn.PixelUnshuffle(2)(images) | images.reshape(2, 4, 2, 4, 2, 3) \
.transpose(0, 1, 3, 5, 2, 4).reshape(2, 4, 4, 12)
ChannelShuffle | nn.ChannelShuffle(3)(many) \
| many.reshape(2, 8, 8, 3, 4).swapaxes(3, 4).reshape(2, 8, 8, 12)
ZeroPad2d ConstantPad2d | nn.ZeroPad2d(1)(images) | ops.pad(images, width=((0, 0), (1, 1), (1, \
1), (0, 0)))
ZeroPad1d ConstantPad1d | nn.ZeroPad1d(1)(sequences) | ops.pad(sequences, width=((0, 0), (1, 1), \
(0, 0)))
ZeroPad3d ConstantPad3d || ops.pad(volumes, width=((0, 0), (1, 1), (1, 1), (1, 1), (0, 0)))
ReflectionPad2d | nn.ReflectionPad2d(1)(images) | F.pad(images, (1, 1, 1, 1), "reflect")
ReplicationPad2d | nn.ReplicationPad2d(1)(images) | F.pad(images, (1, 1, 1, 1), "replicate")
CircularPad2d | nn.CircularPad2d(1)(images) | F.pad(images, (1, 1, 1, 1), "circular")
ReflectionPad1d ReflectionPad3d | nn.ReflectionPad1d(1)(sequences) | sequences[:, [1, *range(6), 4]]
ReplicationPad1d ReplicationPad3d | nn.ReplicationPad1d(1)(sequences) | sequences[:, [0, \
*range(6), 5]]
CircularPad1d CircularPad3d | nn.CircularPad1d(1)(sequences) | sequences[:, [5, *range(6), 0]]
Unfold Fold || images[:, np.arange(6)[:, None] + np.arange(3)] | each window of three rows

# Lazy layers: say how many features come in
LazyLinear || nn.Linear(4, 10)
LazyConv2d LazyConv1d LazyConv3d || nn.Conv2d(3, 8, 3)
LazyConvTranspose2d LazyConvTranspose1d LazyConvTranspose3d || nn.ConvTranspose2d(3, 8, 3)
LazyBatchNorm2d LazyBatchNorm1d LazyBatchNorm3d || nn.BatchNorm2d(3)
LazyInstanceNorm2d LazyInstanceNorm1d LazyInstanceNorm3d || nn.GroupNorm(3, 3)
UninitializedParameter UninitializedBuffer || nn.Parameter(np.empty((4, 10), "float32"))

# Other layers
Dropout1d Dropout3d FeatureAlphaDropout || nn.Dropout2d(0.5)(sequences[:, None])[:, 0] | whole \
channels of (N, L, C)
AlphaDropout || nn.Dropout(0.5)
Bilinear || ((x @ tall[0]) * y).sum(1, keepdims=True)
EmbeddingBag || nn.Embedding(10, 4)(n).mean(1)
Unflatten | nn.Unflatten(1, (2, 2))(x) | x.reshape(3, 2, 2)
RNN RNNCell RNNBase RNNCellBase || (nn.Linear(4, 5)(x) + nn.Linear(5, 5)(h)).tanh() | a step
GRU GRUCell || (1 - z) * g + z * h | a step: the gate z is a sigmoid and g a tanh of linear layers
LSTM LSTMCell || o * (f * c + i * g).tanh() | a step: gates i, f, o are sigmoids of linear layers
TransformerEncoderLayer TransformerEncoder TransformerDecoderLayer TransformerDecoder Transformer \
|| models.TransformerBlock(4, 2)(a) | before attention it normalises, as norm_first=True

# Containers and parts
Buffer || nn.Module().register_buffer("mean", Tensor([0.0]))
Container || nn.Sequential(nn.Linear(4, 2), nn.ReLU())
DataParallel parallel || net | there is one device
parameter modules | | nn.modules.linear.Linear(4, 2)
grad || ops.conv2d_dx, ops.conv2d_dw
attention || nn.MultiheadAttention(4, 2)(a, a, a)

! Layers without a short form here: they are made for whole systems of their own
CTCLoss AdaptiveLogSoftmaxWithLoss MultiLabelMarginLoss

! Quantisation: arrays are of NumPy's dtypes
quantized quantizable qat intrinsic

! PyTorch's insides
common_types factory_kwargs
"""
