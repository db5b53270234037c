# %% [markdown]
# # 07 · The step
#
# The backward pass gives a gradient. The simplest way to use it is one line, `w -= lr * g`. This notebook
# shows what is wrong with that line, and how optimisers improve it. After it you will be able to
#
# * say **before you train** at which learning rate a run will blow up, and why;
# * write SGD with momentum, Nesterov's look-ahead and weight decay in ten lines, and Adam in ten
#   more, equal to the library's up to rounding;
# * explain what weight decay does to a layer that batch norm follows;
# * read and choose a learning-rate schedule.
#
# About 25 minutes. You need notebooks 01 (gradients) and 04 (batch norm).

# %%
import matplotlib.pyplot as plt
import numpy as np

import minires
from minires import Tensor, data, models, nn, optim, viz
from minires.in_browser import sized
from minires.nn import functional as F

rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. How large may a step be?
#
# Near a minimum most smooth losses look like a parabola (not all: $w^4$ does not), so one parabola is
# worth understanding completely. Take $L(w) = \tfrac{\lambda}{2} w^2$, of *curvature* $\lambda$ (its second derivative: how
# fast the slope changes). Its gradient is $\lambda w$, and a step with learning rate $\eta$ is
#
# $$ w \;\leftarrow\; w - \eta \lambda w \;=\; (1 - \eta\lambda)\, w . $$
#
# A step multiplies. After $t$ steps the distance is $|1 - \eta\lambda|^t$ times what it was.
#
# **Predict.** With $\lambda = 10$, order these learning rates from best to worst:
# 0.02, 0.05, 0.1, 0.15, 0.19, 0.21. Two of them are equally good. Which?

# %%
curvature = 10.0
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
for lr in (0.02, 0.05, 0.1, 0.15, 0.19, 0.21):
    w, distances = 1.0, []
    for _ in range(25):
        distances.append(max(abs(w), 1e-16))
        w -= lr * curvature * w
    dashed = "--" if lr > 1 / curvature else "-"
    axes.semilogy(distances, dashed, label=f"{lr:g}: each step × {1 - lr * curvature:+.1f}")
axes.set(xlabel="step", ylabel="distance from the minimum", ylim=(1e-9, 1e2))
axes.legend(title="learning rate", ncols=2, fontsize=8)
plt.show()

# %% [markdown]
# **What to see.** A straight line for every learning rate: the distance shrinks by a constant factor. 0.05
# and 0.15 lie on one line; the second jumps across the minimum each time and loses nothing by it.
# 0.1 is $1/\lambda$ and arrives in a single step (its line falls out of the picture). Past
# $2/\lambda = 0.2$ every step lands further out than it began.
#
# > The largest learning rate that works is **2 divided by the curvature**.
#
# Keep this number. In notebook 09 you will measure the curvature of a real network.
#
# ## 2. The valley, and why momentum
#
# A network has many weights, so many curvatures. The steepest one, $\lambda_{\max}$, decides how
# large a step may be; the flattest, $\lambda_{\min}$, then decides how long you wait. For two weights
# picture a valley, steep across and nearly flat along its floor. The ratio
# $\kappa = \lambda_{\max} / \lambda_{\min}$ is called the *condition number*. With the best single
# learning rate, $\eta = 2/(\lambda_{\max} + \lambda_{\min})$, the distance shrinks in both
# directions to
#
# $$ \frac{\kappa - 1}{\kappa + 1} \;\text{ of itself a step, so a thousandth is reached after about }\;
#    \tfrac{\ln 1000}{2}\,\kappa \approx 3.5\,\kappa \text{ steps} $$
#
# (put this $\eta$ into $1 - \eta\lambda$; and for a large $\kappa$ the factor is about $e^{-2/\kappa}$).
#
# Polyak's cure (1964) is *momentum*: let the gradient push a velocity $v$ instead of the weight. From one
# step to the next a fraction $\mu$ of the velocity is kept, often 0.9:
#
# $$ v \leftarrow \mu v + g, \qquad w \leftarrow w - \eta v $$
#
# Along the flat floor the pushes add up, to $1 + \mu + \mu^2 + \dots = 1/(1-\mu)$ times the step; across
# the valley they alternate and cancel. With the best $\mu$ and $\eta$ the factor becomes
# $(\sqrt\kappa - 1)/(\sqrt\kappa + 1)$: the square root of the condition number, for one extra
# array.
#
# **Predict.** $\kappa = 100$. Plain descent takes some 350 steps to come a thousand times closer.
# How many with momentum?


# %%
def steps_needed(curvatures, lr, momentum=0.0, factor=1e-3):
    """Steps until the weights are `factor` times as far from the minimum as at the start."""
    w, v = np.ones_like(curvatures), np.zeros_like(curvatures)
    start = np.linalg.norm(w)
    for t in range(10_000):
        if np.linalg.norm(w) < factor * start:
            return t
        v = momentum * v + curvatures * w
        w = w - lr * v
    return None


print("condition number    plain    momentum")
for kappa in (1, 10, 100, 1000):
    curvatures = np.array([1.0, kappa])
    root = np.sqrt(kappa)
    plain = steps_needed(curvatures, lr=2 / (1 + kappa))
    fast = steps_needed(curvatures, lr=4 / (1 + root) ** 2, momentum=((root - 1) / (root + 1)) ** 2)
    print(f"{kappa:16}  {plain:7}  {fast:10}")

# %% [markdown]
# From $\kappa = 10$ to 1000 the valley is a hundred times as long. Plain descent takes a hundred
# times as many steps, momentum 13 times. (At $\kappa = 100$ it takes not 35, as the formula says,
# but over fifty: the formula is for the long run, and momentum has to gather speed first.)
#
# Nesterov's variant looks where the velocity is about to carry it and takes the slope from there.
# Written without a second gradient, it is one more line: step along $g + \mu v$ instead of $v$.
#
# Here they are on their way through a valley of $\kappa = 25$, and with them Adam, which section 5
# builds. **Predict** which of them overshoot the minimum at (0, 0), then press *play* or the arrow
# keys.


# %%
def valley(x, y):
    return 0.5 * (x * x + 25 * y * y)


path = viz.optimizer_path(
    valley,
    {
        "SGD": lambda p: optim.SGD(p, lr=0.03),
        "momentum": lambda p: optim.SGD(p, lr=0.03, momentum=0.8),
        "Nesterov": lambda p: optim.SGD(p, lr=0.03, momentum=0.8, nesterov=True),
        "Adam": lambda p: optim.Adam(p, lr=0.3),
    },
    start=(-4.0, 1.4),
    steps=40,
    span=((-5.0, 2.0), (-1.6, 1.6)),
)
path

# %% [markdown]
# **What to see.** Plain SGD drops to the floor at once and then crawls. Momentum arrives first and
# flies past, like anything that has been rolling. Nesterov's looks ahead, brakes earlier and swings
# less. Adam does not care which direction is steep: its first step is as long in $x$ as in $y$
# (section 5 says why), and it too comes in too fast.
#
# ## 3. Build it: SGD
#
# One function, all of it. The order matters, and books differ: this is PyTorch's and minires's.
# Decay joins the gradient *first*, then the velocity takes it up, then Nesterov looks ahead. The
# learning rate stays outside the velocity, so that changing it takes effect at once.


# %%
def sgd_step(weights, gradients, velocities, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    """One step on every array, in place."""
    for w, g, v in zip(weights, gradients, velocities, strict=True):
        d = g + weight_decay * w
        v *= momentum
        v += d
        w -= lr * (d + momentum * v if nesterov else v)


# %% [markdown]
# The check: the same 200 random gradients for our function and for the library's, in float64.

# %%
gradients = rng.normal(size=(200, 3, 5))
for options in (
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "weight_decay": 0.1},
    {"momentum": 0.9, "weight_decay": 0.1, "nesterov": True},
):
    ours, velocity = np.ones((3, 5)), np.zeros((3, 5))
    theirs = Tensor(np.ones((3, 5)), requires_grad=True)
    optimizer = optim.SGD([theirs], lr=0.05, **options)
    for g in gradients:
        sgd_step([ours], [g], [velocity], lr=0.05, **options)
        theirs.grad = Tensor(g)
        optimizer.step()
    difference = np.abs(ours - theirs.numpy()).max()
    print(f"{options!s:57} off by {difference:.0e}")
    assert difference < 1e-14

# %% [markdown]
# ## 4. Weight decay, and what batch norm makes of it
#
# Weight decay adds to the loss a penalty on large weights, $\tfrac{\lambda}{2}\lVert w\rVert^2$, where
# $\lVert w\rVert^2$ is the sum of their squares and $\lambda$ a setting (no curvature this time). That
# adds $\lambda w$ to the gradient: without any other, a step multiplies the weights by
# $1 - \eta\lambda$. At the usual
# $\eta = 0.1$, $\lambda = 5\cdot10^{-4}$ they halve in $\ln 2 / (\eta\lambda) \approx 13{,}900$
# steps. The textbook says that small weights make smooth functions, which fit noise less.
#
# Now put batch norm after the layer. **Predict:** we multiply a convolution's weights by 10. What
# happens to the output of conv → batch norm? To the weights' gradient? And what is the cosine of the
# angle between the weights and their gradient, $w \cdot g \,/\, (\lVert w\rVert \lVert g\rVert)$?
# (`minires.grad` returns a gradient, and `backward` would store it. `upstream` is the upstream
# gradient.)

# %%
images = data.digits().images[:64]
x = Tensor(images.astype(np.float32) / 255)
conv, norm = nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8, eps=0)
upstream = Tensor(rng.normal(size=(64, 8, 8, 8)).astype(np.float32))

results = []
for scale in (1, 10):
    conv.weight.data *= scale
    y = norm(conv(x))
    g = minires.grad((y * upstream).sum(), conv.weight).numpy()
    results.append((y.numpy(), g))
    w = conv.weight.numpy()
    cosine = (w * g).sum() / np.linalg.norm(w) / np.linalg.norm(g)
    print(f"weights x {scale:2}: |gradient| = {np.linalg.norm(g):8.4f}, cos(w, g) = {cosine:+.0e}")
(y1, g1), (y10, g10) = results
print(f"largest change of the output: {np.abs(y1 - y10).max():.0e}")
assert np.allclose(y1, y10, atol=1e-4)
assert np.allclose(g1, 10 * g10, atol=1e-3 * np.abs(g1).max())

# %% [markdown]
# The output does not move: batch norm divides the factor out again. So decay cannot make this
# function any smoother. The gradient is **ten times smaller**, and it stands at a **right angle** to
# the weights, since the cosine is 0. (Of course: no change of their length changes the loss.) Two
# consequences for plain steps without decay, both exact:
#
# * A step at a right angle makes the weights longer, by Pythagoras:
#   $\lVert w'\rVert^2 = \lVert w\rVert^2 + \eta^2\lVert g\rVert^2$ (with $w'$ after the step). They only
#   ever grow.
# * Longer weights turn more slowly. What matters is the angle of a step, $\eta\lVert g\rVert /
#   \lVert w\rVert$, and as $\lVert g\rVert$ is proportional to $1/\lVert w\rVert$, the *effective* learning
#   rate is proportional to $\eta / \lVert w\rVert^2$.
#
# So in a residual network weight decay is a *learning-rate control*: it shortens the weights that
# training lengthens, and so keeps the effective learning rate up (van Laarhoven, 2017).
#
# ## 5. Build it: Adam
#
# One learning rate for all weights is a compromise if their gradients differ a thousandfold. Adam
# (Kingma and Ba, 2015) gives each weight its own: it divides the mean of recent gradients, $m$, by
# the root of the mean of their squares, $v$. Both are running means like batch norm's, with
# $\beta_1 = 0.9$ and $\beta_2 = 0.999$. They begin at 0, so at step $t$ a part of them, $\beta^t$, is
# still that 0, and the divisions by $1 - \beta^t$ make up for it. $\epsilon$ saves us from dividing
# by 0.
#
# $$ m \leftarrow \beta_1 m + (1-\beta_1) g, \qquad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \qquad
#    w \leftarrow w - \eta\,\frac{m / (1-\beta_1^t)}{\sqrt{v / (1-\beta_2^t)} + \epsilon} $$
#
# **Predict.** Three weights get the gradients $10^{-6}$, 1 and $10^6$. How far does Adam's *first*
# step move each, with $\eta = 0.1$?


# %%
def adam_step(w, g, m, v, t, lr, betas=(0.9, 0.999), eps=1e-8):
    """Step number t, counted from 1, in place."""
    m += (1 - betas[0]) * (g - m)
    v += (1 - betas[1]) * (g * g - v)
    corrected_m, corrected_v = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    w -= lr * corrected_m / (np.sqrt(corrected_v) + eps)


w, m, v = np.zeros((3, 3))
adam_step(w, np.array([1e-6, 1.0, 1e6]), m, v, t=1, lr=0.1)
print("first step:", w)

ours, m, v = np.ones((3, 5)), np.zeros((3, 5)), np.zeros((3, 5))
theirs = Tensor(np.ones((3, 5)), requires_grad=True)
optimizer = optim.Adam([theirs], lr=0.05)
for t, g in enumerate(gradients, start=1):
    adam_step(ours, g, m, v, t, lr=0.05)
    theirs.grad = Tensor(g)
    optimizer.step()
print(f"after 200 steps we differ from the library by {np.abs(ours - theirs.numpy()).max():.0e}")
assert np.allclose(ours, theirs.numpy(), rtol=0, atol=1e-13)

# %% [markdown]
# All three move by 0.1 (the smallest by 1% less, because of $\epsilon$). Of the first gradient only
# the *sign* is left: that is why Adam's learning rate is a distance, why values near 0.001 are a common default,
# and why it set off equally fast in $x$ and $y$. Without the two
# corrections the first step would be $0.1/\sqrt{0.001} \approx 3.2$ times as long, since $v$ is
# slower to fill than $m$.
#
# The division has a catch. A weight decay that is added to the gradient is divided as well.
# **Predict:** two weights start at 1 and get pure noise for a gradient, the one with standard deviation 10,
# the other with 0.01; all that has a direction is the decay. Which one decays, with Adam's
# `weight_decay`, and with AdamW's, which shrinks the weights directly?

# %%
for name, kind in (("Adam, decay in the gradient", optim.Adam), ("AdamW", optim.AdamW)):
    weights = [Tensor(np.ones((1000, 1)), requires_grad=True) for _ in range(2)]
    optimizer = kind(weights, lr=1e-3, weight_decay=0.1)
    for _ in range(500):
        for weight, deviation in zip(weights, (10, 0.01), strict=True):
            weight.grad = Tensor(rng.normal(size=(1000, 1)) * deviation)
        optimizer.step()
    loud, quiet = (weight.numpy().mean() for weight in weights)
    print(f"{name:28} noisy weights: {loud:.3f}    quiet weights: {quiet:.3f}")
print(f"{'(1 - lr * decay) ** 500':28} {(1 - 1e-3 * 0.1) ** 500:.3f}")

# %% [markdown]
# (Means over a thousand weights of each kind.) In Adam the decay of the noisy weights is divided by
# 10 and all but vanishes, while that of the quiet ones is nearly $\eta$ per step. AdamW (Loshchilov and
# Hutter, 2019) shrinks both alike, by exactly what the formula says. The W stands for this *weight* decay.
#
# ## 6. Why the learning rate must fall
#
# A batch's gradient is the true one plus noise of some variance $\sigma^2$, as it sees only some of the
# images. On our parabola the noise keeps moving the weight. Write $q$ for the mean of $w^2$ over
# many runs. A step makes $(1 - \eta\lambda)^2 q$ of it, and the noise adds $\eta^2\sigma^2$. It settles
# where both together leave $q$ as it was, at
#
# $$ q = \frac{\eta\,\sigma^2}{\lambda\,(2 - \eta\lambda)}
#    \;\approx\; \eta \cdot \frac{\sigma^2}{2\lambda}. $$
#
# The floor is **proportional to the learning rate**: no number of steps gets below it. A large rate
# travels fast and ends high, a small one ends low and late. **Predict** how a rate that falls
# along half a cosine does against three constant ones in the same 400 steps. (The mean is over 2,000
# weights in parallel, each with noise of its own; $\lambda = \sigma = 1$.)

# %%
total, curvature, walkers = 400, 1.0, 2000


def cosine(t, peak, total):
    """From `peak` to 0 in `total` steps."""
    return peak * 0.5 * (1 + np.cos(np.pi * t / total))


figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for label, rate in {
    "constant 0.5": lambda t: 0.5,
    "constant 0.05": lambda t: 0.05,
    "constant 0.005": lambda t: 0.005,
    "cosine from 0.5": lambda t: cosine(t, 0.5, total),
}.items():
    w, losses = np.full(walkers, 10.0), []
    for t in range(total):
        losses.append(0.5 * curvature * np.mean(w**2))
        w -= rate(t) * (curvature * w + rng.normal(size=walkers))
    (line,) = axes.semilogy(losses, label=f"{label}: ends at {losses[-1]:.4f}")
    if label.startswith("constant") and rate(0) > 0.01:
        floor = 0.5 * rate(0) / (2 - rate(0) * curvature)
        axes.axhline(floor, color=line.get_color(), lw=0.8, ls=":")
axes.set(xlabel="step", ylabel="loss, mean of 2,000 weights")
axes.legend(title="learning rate", fontsize=8)
plt.show()

# %% [markdown]
# **What to see.** The rates 0.5 and 0.05 fall to their floors and stay (dotted: the loss
# $\tfrac{\lambda}{2} q$ by the formula); 0.005 is still on its way, high above its own. The cosine
# travels at the large rate's speed and ends below them all: it spends the early steps on distance
# and the late ones on calm.
#
# The library's schedules are functions of the step, and set the rate that an optimiser goes by, its
# `param_groups[0]["lr"]`. Ours against its cosine, and the others' shapes:

# %%
schedules = {
    "StepLR(step_size=60, gamma=0.3)": lambda o: optim.StepLR(o, 60, 0.3),
    "CosineAnnealingLR(T_max=200)": lambda o: optim.CosineAnnealingLR(o, T_max=200),
    "OneCycleLR(max_lr=0.2)": lambda o: optim.OneCycleLR(o, max_lr=0.2, total_steps=200),
}
figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for name, make in schedules.items():
    optimizer = optim.SGD([Tensor([0.0], requires_grad=True)], lr=0.2, momentum=0.9)
    schedule, rates = make(optimizer), []
    for _ in range(200):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(rates) < 200:
            schedule.step()
    axes.plot(rates, label=name)
    if "Cosine" in name:
        assert np.allclose(rates, [cosine(t, 0.2, 200) for t in range(200)])
axes.set(xlabel="step", ylabel="learning rate")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to see.** Stairs, a cosine, and one cycle: a climb first, then a long way down. The climb
# is called a warm-up. In the first steps the gradients are large and change direction fast, and a long
# step may do damage that takes long to repair (Goyal et al., 2017). Not because the curvature is largest
# at the start: under full-batch gradient descent it *grows* during training, towards $2/\eta$ (Cohen et
# al., 2021).
#
# ## 7. A race on real data
#
# A ResNet-8, the library's residual network of 8 layers, on 1,437 handwritten digits. An *epoch* is one
# pass through all images, in batches of 64 that a `DataLoader` hands out, each time in another order. Six
# epochs are 132 steps (`drop_last` leaves out the last 29 images of each, which fill no batch); in a
# browser, which is slower, we run two, 44 steps. The
# pixels are shifted and scaled to mean 0 and standard deviation 1. All optimisers start from the same
# weights and see the same batches, each with a learning rate that suits it. **Predict** the order.

# %%
train, test = data.digits(), data.digits(train=False)
normalize = data.Normalize(*data.dataset_statistics(train.images))
EPOCHS = sized(6, in_browser=2)


def race(make_optimizer, make_schedule=None):
    """Train a fresh ResNet-8; its loss step by step, and its accuracy on the test digits."""
    minires.manual_seed(0)
    model = models.resnet8(num_classes=10, in_channels=1)
    optimizer = make_optimizer(list(model.parameters()))
    loader = data.DataLoader(train, 64, shuffle=True, transform=normalize, drop_last=True)
    schedule = make_schedule(optimizer, EPOCHS * len(loader)) if make_schedule else None
    losses = []
    for _ in range(EPOCHS):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(Tensor(images)), labels)
            loss.backward()
            optimizer.step()
            if schedule:
                schedule.step()
            losses.append(loss.item())
    return losses, minires.training.evaluate(model, test, transform=normalize).accuracy


runners = {
    "SGD": (lambda p: optim.SGD(p, lr=0.1),),
    "momentum": (lambda p: optim.SGD(p, lr=0.1, momentum=0.9),),
    "Nesterov": (lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),),
    "Adam": (lambda p: optim.Adam(p, lr=0.003),),
    "Nesterov + one cycle": (
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
        lambda o, steps: optim.OneCycleLR(o, max_lr=0.2, total_steps=steps),
    ),
}
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for name, makers in runners.items():
    losses, accuracy = race(*makers)
    smooth = np.convolve(losses, np.ones(8) / 8, mode="valid")
    axes.semilogy(np.arange(len(smooth)) + 8, smooth, label=f"{name}: test {accuracy:.1%}")
axes.set(xlabel="step", ylabel="training loss (nats), mean of 8 steps")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# **What to see.** Plain SGD stays behind. Of the other four, lines cross: who leads at step 30
# need not lead at the end, and with other weights to begin with it would be another. On 360 test
# digits one image is 0.28%, so differences of a point in the legend may be chance. Benchmarks of many
# optimisers on many tasks find no clear winner either (Schmidt et al., 2021). The schedule pays in longer trainings, where the
# noise floor of section 6 is what is left to beat.
#
# ## What to keep
#
# * A step beyond $2/\lambda_{\max}$ diverges; the condition number decides how many steps are needed.
# * Momentum takes its square root, for one array more.
# * For a layer before batch norm, decay controls the effective learning rate.
# * Adam's step is a distance; AdamW keeps the decay out of the division.
# * The noise floor is proportional to the learning rate, so it must fall.
#
# ## Exercises
#
# (Difficulty from 1, a few lines, to 3, an idea of your own; the minutes are without training times.)
#
# 1. **Momentum stretches the limit.** *(difficulty 2, 30 min)* On the parabola with $\lambda = 10$, find by
#    bisection the
#    largest learning rate that converges with $\mu = 0.9$. *You are right if* it is
#    $2(1+\mu)/\lambda$ to three digits. Why does a heavy ball bear a larger step?
# 2. **RMSprop** *(difficulty 1, 20 min)* came before Adam: no mean of the gradients ($g$ itself is divided),
#    no corrections, and
#    0.99 in place of $\beta_2$. Write it in the manner of `adam_step` and compare it with `optim.RMSprop`
#    on `gradients`. *You are right if* they differ by less than 1e-13.
# 3. **The effective rate.** *(difficulty 3, 60 min)* Show with the 2,000 weights of section 6 that SGD with
#    momentum $\mu$ and
#    rate $\eta$ has about the noise floor of plain SGD with $\eta/(1-\mu)$, for small
#    $\eta\lambda$. Then train with plain SGD in `race` and plot $\lVert w\rVert$ of ResNet-8's
#    `conv1.weight` by step, with and without weight decay. *You are right if* one of the two never
#    falls (but for rounding). Which, and why (section 4)?
