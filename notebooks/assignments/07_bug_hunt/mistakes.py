"""The known mistakes of assignment 7; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 the block

for number, name, hint, old, new in [
    (
        701,
        "nothing is added",
        "Layers one after the other are a plain network: add the block's input.",
        "relu(out + x)",
        "relu(out)",
    ),
    (
        60,
        "the ReLU before the add",
        "The second ReLU comes after the sum.",
        "relu(out + x)",
        "relu(out) + x",
    ),
    (
        702,
        "the input added twice",
        "Once is enough: y = relu(F(x) + x).",
        "relu(out + x)",
        "relu(out + x + x)",
    ),
    (
        703,
        "a ReLU before and after the add",
        "Between the second convolution and the sum there is no ReLU.",
        OUT,
        "out = relu(conv(relu(conv(x, w1, stride)), w2))",
    ),
    (
        704,
        "no ReLU between the convolutions",
        "Without a ReLU between them two convolutions are one.",
        OUT,
        "out = conv(conv(x, w1, stride), w2)",
    ),
    (
        705,
        "no ReLU at the end",
        "The sum passes a ReLU.",
        "relu(out + x)",
        "out + x",
    ),
    (
        706,
        "the stride in the second convolution",
        "The first convolution has the stride.",
        OUT,
        "out = conv(relu(conv(x, w1)), w2, stride)",
    ),
    (
        707,
        "the projection with a ReLU",
        "The projection is linear: its output is added as it is.",
        "x = conv(x, w_shortcut, stride)",
        "x = relu(conv(x, w_shortcut, stride))",
    ),
    (
        708,
        "the projection without the stride",
        "The shortcut has to shrink the image as the branch does.",
        "x = conv(x, w_shortcut, stride)",
        "x = conv(x, w_shortcut)",
    ),
    (
        709,
        "the projected input never added",
        "x after the projection is what is added.",
        "    return relu(out + x)",
        "        return relu(out)\n    return relu(out + x)",
    ),
]:
    block.mistake(number, name, hint, old, new)


@block.wrong(
    710,
    "the projection behind the block",
    "The projection stands beside the two convolutions, on the block's input, not behind them.",
)
def projection_behind(x, w1, w2, w_shortcut, stride):
    out = relu(conv(relu(conv(x, w1, stride)), w2))
    if w_shortcut is not None:
        out = conv(out[..., : w_shortcut.shape[2]], w_shortcut, stride)
    return out


# ---------------------------------------------------------------------- 2 the head


for number, name, hint, old, new in [
    (
        711,
        "softmax in the model",
        "The loss takes logits and applies the softmax itself.",
        f"return {MEAN}",
        f"logits = {MEAN}\n"
        "    e = np.exp(logits - logits.max(axis=1, keepdims=True))\n"
        "    return e / e.sum(axis=1, keepdims=True)",
    ),
    (
        712,
        "softmax over the batch",
        "No softmax here; and if there were, it would go over the classes.",
        f"return {MEAN}",
        f"e = np.exp({MEAN})\n    return e / e.sum(axis=0)",
    ),
    (
        713,
        "one place instead of the average",
        "Average each channel over all places.",
        "features.mean(axis=(1, 2))",
        "features[:, 0, 0]",
    ),
    (
        714,
        "a sum instead of the average",
        "Average: the sum grows with the image.",
        "features.mean(axis=(1, 2))",
        "features.sum(axis=(1, 2))",
    ),
    (
        715,
        "the maximum instead of the average",
        "A ResNet ends with average pooling.",
        "features.mean(axis=(1, 2))",
        "features.max(axis=(1, 2))",
    ),
    (
        716,
        "the bias forgotten",
        "Add b.",
        " @ w + b",
        " @ w",
    ),
    (
        717,
        "one place, softmax over the batch",
        "That is the code as found: average the places and return logits.",
        f"return {MEAN}",
        "e = np.exp(features[:, 0, 0] @ w + b)\n    return e / e.sum(axis=0)",
    ),
    (
        718,
        "averaged over height only",
        "Average over height and width.",
        "features.mean(axis=(1, 2)) @ w + b",
        "(features.mean(axis=1) @ w + b)[:, 0]",
    ),
]:
    head.mistake(number, name, hint, old, new)

# ---------------------------------------------------------------------- 3 the architecture


for number, name, hint, old, new in [
    (
        719,
        "as many blocks as layers",
        "depth counts layers: 6n + 2, with n blocks a stage.",
        "for i in range(n):",
        "for i in range(depth):",
    ),
    (
        720,
        "stride 2 in every block",
        "Only the first block of the second and third stage halves the image.",
        STRIDE,
        "2",
    ),
    (
        721,
        "stride 2 in the first stage too",
        "The first stage keeps the size.",
        STRIDE,
        "2 if i == 0 else 1",
    ),
    (
        722,
        "never a stride",
        "The second and third stage begin with stride 2.",
        STRIDE,
        "1",
    ),
    (
        723,
        "other channels",
        "The CIFAR networks have 16, 32 and 64 channels.",
        "[16, 32, 64]",
        "[64, 128, 256]",
    ),
    (
        724,
        "the first and last layer forgotten",
        "Two of the layers are outside the blocks: n = (depth - 2) / 6.",
        "divmod(depth - 2, 6)",
        "divmod(depth, 6)",
    ),
    (
        725,
        "any depth accepted",
        "A depth that is not 6n + 2 cannot be built: say so.",
        '    if rest or n < 1:\n        raise ValueError(f"depth is 6n + 2, not {depth}")\n',
        "",
    ),
    (
        726,
        "a stage at a time, not a block",
        "One pair for each block.",
        "for i in range(n):",
        "for i in range(1):",
    ),
    (
        727,
        "stride 2 at the end of a stage",
        "The first block of a stage has the stride, so that the rest is cheap.",
        "i == 0 else 1",
        "i == n - 1 else 1",
    ),
]:
    plan.mistake(number, name, hint, old, new)

# ---------------------------------------------------------------------- 4 the learning rate


for number, name, hint, old, new in [
    (
        728,
        "one rate for all epochs",
        "At half and at three quarters of the training, divide by 10.",
        "    if epoch >= 0.75 * epochs:\n"
        "        return 0.001\n"
        "    return 0.01 if epoch >= 0.5 * epochs else 0.1",
        "    return 0.1",
    ),
    (
        729,
        "an epoch late",
        "Epochs count from 0: epoch number epochs / 2 is the first of the second half.",
        "    if epoch >= 0.75 * epochs:\n"
        "        return 0.001\n"
        "    return 0.01 if epoch >= 0.5 * epochs else 0.1",
        "    if epoch > 0.75 * epochs:\n"
        "        return 0.001\n"
        "    return 0.01 if epoch > 0.5 * epochs else 0.1",
    ),
    (
        730,
        "divided by a hundred after a tenth",
        "A hundredth of 0.1 from three quarters on, not a thousandth.",
        "return 0.001",
        "return 0.0001",
    ),
    (
        731,
        "the second drop missing",
        "At three quarters the rate drops once more.",
        "return 0.001",
        "return 0.01",
    ),
    (
        732,
        "halved instead of divided by ten",
        "Each drop is to a tenth.",
        "    if epoch >= 0.75 * epochs:\n"
        "        return 0.001\n"
        "    return 0.01 if epoch >= 0.5 * epochs else 0.1",
        "    return 0.025 if epoch >= 0.75 * epochs else 0.05 if epoch >= 0.5 * epochs else 0.1",
    ),
]:
    learning_rate.mistake(number, name, hint, old, new)


@learning_rate.wrong(
    733, "the later code as found", "> is an epoch late, and the second drop divides by 1000."
)
def as_found(epoch, epochs):
    rate = 0.1
    if epoch > epochs // 2:
        rate = rate / 10
    if epoch > epochs * 3 // 4:
        rate = rate / 100
    return rate


# ---------------------------------------------------------------------- 5 the accuracy


for number, name, hint, old, new in [
    (
        35,
        "the batch's statistics",
        "Without model.eval() batch norm normalises with each test batch: results depend on it.",
        f"scores = {BATCH} @ w",
        "x = images[start : start + batch_size]\n"
        "        scores = normalise(x, x.mean(axis=0), x.var(axis=0)) @ w",
    ),
    (
        34,
        "the running statistics updated",
        "Testing must leave the model as it is.",
        f"scores = {BATCH} @ w",
        "mean *= 0.9\n"
        "        mean += 0.1 * images[start : start + batch_size].mean(axis=0)\n"
        f"        scores = {BATCH} @ w",
    ),
    (
        734,
        "the last batch left out",
        "Every image counts: range(0, len(images), batch_size).",
        "range(0, len(images), batch_size)",
        "range(0, len(images) - batch_size + 1, batch_size)",
    ),
    (
        735,
        "one batch too few",
        "The last full batch counts too.",
        "range(0, len(images), batch_size)",
        "range(0, len(images) - batch_size, batch_size)",
    ),
    (
        736,
        "argmax over the batch",
        "The class with the highest score, for each image: axis 1.",
        "(scores.argmax(axis=1) == labels[start : start + batch_size]).sum()",
        "sum(a == b for a, b in zip(scores.argmax(axis=0), labels[start : start + batch_size]))",
    ),
    (
        737,
        "batches averaged",
        "Count right images and divide once; a mean of batches weighs the last one's too much.",
        "right += (scores.argmax(axis=1) == labels[start : start + batch_size]).sum()\n"
        "    return right / len(images)",
        "right += (scores.argmax(axis=1) == labels[start : start + batch_size]).mean()\n"
        "    return right / -(-len(images) // batch_size)",
    ),
    (
        738,
        "a count instead of a share",
        "Divide by the number of images.",
        "return right / len(images)",
        "return right",
    ),
    (
        739,
        "the variance where the deviation belongs",
        "Normalise divides by the root of var; use it with var as it is.",
        "mean, var) @ w",
        "mean, var**2) @ w",
    ),
    (
        740,
        "the lowest score",
        "The class with the highest score is predicted.",
        "scores.argmax(axis=1)",
        "scores.argmin(axis=1)",
    ),
    (
        741,
        "percent",
        "Return a share between 0 and 1.",
        "return right / len(images)",
        "return 100 * right / len(images)",
    ),
]:
    accuracy.mistake(number, name, hint, old, new)

# ---------------------------------------------------------------------- 6 the gradient


for number, name, hint, old, new in [
    (
        59,
        "the identity dropped",
        "h + F(h) has the derivative I + J: the shortcut passes the gradient on.",
        "g = g + g @ jacobian",
        "g = g @ jacobian",
    ),
    (
        742,
        "in the wrong order",
        "Backwards: the last block's Jacobian comes first.",
        "in reversed(jacobians)",
        "in jacobians",
    ),
    (
        743,
        "element by element",
        "A chain rule of vectors multiplies matrices.",
        "g = g + g @ jacobian",
        "g = g * jacobian.sum(axis=0)",
    ),
    (
        744,
        "transposed",
        "g is a row: g @ J. J @ g would be the derivative the other way.",
        "g @ jacobian",
        "jacobian @ g",
    ),
    (
        745,
        "the upstream gradient added in every block",
        "Each block starts from what the block behind it handed on.",
        "    for jacobian in reversed(jacobians):\n        g = g + g @ jacobian",
        "    upstream = g\n"
        "    for jacobian in reversed(jacobians):\n"
        "        g = upstream + g @ jacobian",
    ),
    (
        746,
        "diagonals only",
        "Every output of a branch may depend on every input.",
        "g @ jacobian",
        "g * jacobian.diagonal()",
    ),
]:
    through.mistake(number, name, hint, old, new)
