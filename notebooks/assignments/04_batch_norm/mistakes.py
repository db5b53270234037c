"""The known mistakes of assignment 4; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 forward, in training

batch_norm_train.mistake(
    29,
    "eps outside the root",
    "sqrt(var) + eps is not sqrt(var + eps): eps belongs to the variance, inside the root.",
    "np.sqrt(var + eps)",
    "(np.sqrt(var) + eps)",
)

batch_norm_train.mistake(
    30,
    "eps omitted",
    "eps must be added to the variance, or a channel of equal values divides by zero.",
    "np.sqrt(var + eps)",
    "np.sqrt(var)",
)

batch_norm_train.mistake(
    32,
    "normalised with the unbiased variance",
    "The variance that normalises is divided by M; M - 1 is for the running average only.",
    "x.var(axis=0)",
    "x.var(axis=0, ddof=1)",
)

batch_norm_train.mistake(
    401,
    "divided by the variance",
    "Divide by the standard deviation, the root of the variance, so that y has variance gamma^2.",
    "np.sqrt(var + eps)",
    "(var + eps)",
)

batch_norm_train.mistake(
    402,
    "statistics of each row",
    "Mean and variance go over the rows (axis 0), one pair a channel; axis 1 gives layer norm.",
    "mean = x.mean(axis=0)\n    var = x.var(axis=0)",
    "mean = x.mean(axis=1, keepdims=True)\n    var = x.var(axis=1, keepdims=True)",
)

batch_norm_train.mistake(
    403,
    "one mean and variance for all channels",
    "Each channel has its own statistics: x.mean(axis=0), not x.mean().",
    "mean = x.mean(axis=0)\n    var = x.var(axis=0)",
    "mean = x.mean()\n    var = x.var()",
)

batch_norm_train.mistake(
    404,
    "beta scaled by gamma",
    "gamma scales the normalised input only; beta is added after it.",
    "gamma * (x - mean) / np.sqrt(var + eps) + beta",
    "gamma * ((x - mean) / np.sqrt(var + eps) + beta)",
)


@batch_norm_train.wrong(405, "input normalised in place", "x is still needed in the backward pass.")
def in_place(x, gamma, beta, eps):
    x -= x.mean(axis=0)
    x /= np.sqrt(np.mean(x * x, axis=0) + eps)
    return gamma * x + beta


# ---------------------------------------------------------------------- 2 running statistics


update_statistics.mistake(
    31,
    "running variance biased",
    "The running variance takes the unbiased variance, divided by M - 1.",
    "x.var(axis=0, ddof=1)",
    "x.var(axis=0)",
)

update_statistics.mistake(
    33,
    "momentum reversed",
    "momentum is the weight of the new batch: (1 - momentum) * old + momentum * new.",
    "    running_mean = (1 - momentum) * running_mean + momentum * mean\n"
    "    running_var = (1 - momentum) * running_var + momentum * var\n",
    "    running_mean = momentum * running_mean + (1 - momentum) * mean\n"
    "    running_var = momentum * running_var + (1 - momentum) * var\n",
)

update_statistics.mistake(
    406,
    "running deviation",
    "The running average is of the variance, not of its root.",
    "var = x.var(axis=0, ddof=1)",
    "var = x.std(axis=0, ddof=1)",
)

update_statistics.mistake(
    407,
    "old statistics overwritten",
    "Return new arrays: whoever holds the old ones must still find them unchanged.",
    "    running_mean = (1 - momentum) * running_mean + momentum * mean\n",
    "    running_mean *= 1 - momentum\n    running_mean += momentum * mean\n",
)

update_statistics.mistake(
    408,
    "old statistics forgotten",
    "It is an average over steps: the old value stays in it with the weight 1 - momentum.",
    "(1 - momentum) * running_mean + momentum * mean",
    "mean",
)

# ---------------------------------------------------------------------- 3 forward, in evaluation


batch_norm_eval.mistake(
    35,
    "the batch's statistics in evaluation",
    "In evaluation the running statistics normalise, so that a row does not depend on its batch.",
    "(x - running_mean) / np.sqrt(running_var + eps)",
    "(x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)",
)

batch_norm_eval.mistake(
    34,
    "statistics updated in evaluation",
    "Evaluation must leave the running statistics alone; only training moves them.",
    "    return gamma",
    "    running_mean *= 0.9\n    running_mean += 0.1 * x.mean(axis=0)\n    return gamma",
)

batch_norm_eval.mistake(
    29,
    "eps outside the root",
    "sqrt(var) + eps is not sqrt(var + eps): eps belongs to the variance, inside the root.",
    "np.sqrt(running_var + eps)",
    "(np.sqrt(running_var) + eps)",
)

batch_norm_eval.mistake(
    30,
    "eps omitted",
    "The same eps as in training belongs under the root.",
    "running_var + eps",
    "running_var",
)

batch_norm_eval.mistake(
    409,
    "divided by the variance",
    "Divide by the root of the running variance.",
    "np.sqrt(running_var + eps)",
    "(running_var + eps)",
)

# ---------------------------------------------------------------------- 4 backward, in training


for number, name, hint, new in [
    (
        18,
        "batch norm's backward without the mean's term",
        "x also moves the mean, which is in every row: subtract h.mean(axis=0).",
        "dx = inverse * (h - normal * (h * normal).mean(axis=0))",
    ),
    (
        19,
        "batch norm's backward without the variance's term",
        "x also moves the variance: subtract normal * (h * normal).mean(axis=0).",
        "dx = inverse * (h - h.mean(axis=0))",
    ),
    (
        20,
        "the statistics treated as constants",
        "That is the backward of evaluation. In training mean and variance depend on x.",
        "dx = inverse * h",
    ),
    (
        22,
        "gamma twice",
        "gamma enters once, through h = gamma * g.",
        "dx = gamma * inverse * (h - h.mean(axis=0) - normal * (h * normal).mean(axis=0))",
    ),
    (
        26,
        "N - 1 in the backward pass",
        "The forward divides the variance by M, so its derivative has M too.",
        "dx = inverse * (h - h.mean(axis=0) - normal * (h * normal).sum(axis=0) / (len(x) - 1))",
    ),
    (
        27,
        "the 1/M missing",
        "Both terms are means over the rows, not sums: mean and variance divide by M.",
        "dx = inverse * (h - h.sum(axis=0) - normal * (h * normal).sum(axis=0))",
    ),
    (
        28,
        "a sign wrong",
        "Both terms are subtracted.",
        "dx = inverse * (h - h.mean(axis=0) + normal * (h * normal).mean(axis=0))",
    ),
    (
        410,
        "divided by the variance",
        "The factor in front is 1 / sqrt(var + eps).",
        "dx = inverse**2 * (h - h.mean(axis=0) - normal * (h * normal).mean(axis=0))",
    ),
    (
        411,
        "the upstream gradient ignored",
        "The chain rule multiplies with g, which is not 1.",
        "h = np.ones_like(g) * gamma\n    " + SECOND_LINE,
    ),
    (
        412,
        "gradients over the channels",
        "The means go over the rows, axis 0.",
        "dx = inverse * (h - h.mean(axis=1, keepdims=True)"
        " - normal * (h * normal).mean(axis=1, keepdims=True))",
    ),
]:
    batch_norm_train_backward.mistake(number, name, hint, SECOND_LINE, new)

batch_norm_train_backward.mistake(
    21,
    "gamma missing",
    "y = gamma * normal + beta, so what arrives at normal is gamma * g. Try a gamma that is not 1.",
    "h = g * gamma",
    "h = g",
)

batch_norm_train_backward.mistake(
    23,
    "dgamma from x",
    "gamma multiplies the normalised x, so dgamma sums g * normal.",
    "dgamma = (g * normal).sum(axis=0)",
    "dgamma = (g * x).sum(axis=0)",
)

batch_norm_train_backward.mistake(
    24,
    "dgamma from the output",
    "gamma multiplies the normalised x, not the layer's output.",
    "dgamma = (g * normal).sum(axis=0)",
    "dgamma = (g * gamma * normal).sum(axis=0)",
)

batch_norm_train_backward.mistake(
    25,
    "dgamma and dbeta averaged",
    "gamma and beta are used in every row: their gradients are sums, not means.",
    "dgamma = (g * normal).sum(axis=0)\n    dbeta = g.sum(axis=0)",
    "dgamma = (g * normal).mean(axis=0)\n    dbeta = g.mean(axis=0)",
)

batch_norm_train_backward.mistake(
    29,
    "eps outside the root",
    "The forward divides by sqrt(var + eps), and so must the backward.",
    "1 / np.sqrt(x.var(axis=0) + eps)",
    "1 / (np.sqrt(x.var(axis=0)) + eps)",
)

batch_norm_train_backward.mistake(
    30,
    "eps omitted",
    "The forward divides by sqrt(var + eps), and so must the backward.",
    "1 / np.sqrt(x.var(axis=0) + eps)",
    "1 / np.sqrt(x.var(axis=0))",
)

# ---------------------------------------------------------------------- 5 backward, in evaluation


batch_norm_eval_backward.mistake(
    36,
    "the training formula in evaluation",
    "The running statistics are constants: no gradient flows through them.",
    "    return g * gamma * inverse",
    "    h = g * gamma\n"
    "    mean = h.mean(axis=(0, 1, 2))\n"
    "    projected = (h * normal).mean(axis=(0, 1, 2))\n"
    "    return inverse * (h - mean - normal * projected)",
)

batch_norm_eval_backward.mistake(
    37,
    "summed over the batch only",
    "A channel's gamma and beta are used at every place of every image: sum over N, H and W.",
    "(g * normal).sum(axis=(0, 1, 2)), g.sum(axis=(0, 1, 2))",
    "(g * normal).sum(axis=0), g.sum(axis=0)",
)

batch_norm_eval_backward.mistake(
    21,
    "gamma missing",
    "y = gamma * normal + beta, so dx has a factor gamma.",
    "g * gamma * inverse",
    "g * inverse",
)

batch_norm_eval_backward.mistake(
    413,
    "the batch's statistics",
    "normal is made from the running statistics here.",
    "(x - running_mean) * inverse",
    "(x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + eps)",
)

batch_norm_eval_backward.mistake(
    25,
    "dgamma and dbeta averaged",
    "gamma and beta are used at every place: their gradients are sums, not means.",
    "(g * normal).sum(axis=(0, 1, 2)), g.sum(axis=(0, 1, 2))",
    "(g * normal).mean(axis=(0, 1, 2)), g.mean(axis=(0, 1, 2))",
)

# ---------------------------------------------------------------------- 6 the layer


BatchNorm.mistake(
    34,
    "statistics updated in evaluation",
    "Evaluation must leave the running statistics alone.",
    "        return out",
    "        if not self.training:\n"
    "            self.running_mean, self.running_var = update_statistics(\n"
    "                self.running_mean, self.running_var, rows, self.momentum\n"
    "            )\n"
    "        return out",
)

BatchNorm.mistake(
    35,
    "the batch's statistics in evaluation",
    "Look at self.training: in evaluation the running statistics normalise.",
    "        if self.training:\n",
    "        if not self.training:\n"
    "            out = batch_norm_train(rows, self.gamma, self.beta, self.eps)\n"
    "        elif self.training:\n",
)

BatchNorm.mistake(
    37,
    "statistics over the batch only",
    "A channel has one mean over all places of all images, not one for each place.",
    "rows = x.reshape(-1, x.shape[-1])",
    "rows = x.reshape(len(x), -1)\n"
    "        if self.training:\n"
    "            normal = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + self.eps)\n"
    "            return self.gamma * normal + self.beta\n"
    "        rows = x.reshape(-1, x.shape[-1])",
)

BatchNorm.mistake(
    414,
    "statistics never updated",
    "While training, each batch moves the running statistics.",
    "            self.running_mean, self.running_var = update_statistics(",
    "            update_statistics(",
)

BatchNorm.mistake(
    415,
    "normalised with the running statistics in training",
    "In training the batch's own statistics normalise; the running ones are for evaluation.",
    "out = batch_norm_train(rows, self.gamma, self.beta, self.eps)",
    "out = batch_norm_eval(rows, self.gamma, self.beta, "
    "self.running_mean, self.running_var, self.eps)",
)
