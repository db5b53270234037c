"""The known mistakes of assignment 6; they run in the names of `grading.py`."""

# ---------------------------------------------------------------------- 1 the block

for number, name, hint, old, new in [
    (
        59,
        "the identity path dropped in the backward pass",
        "The shortcut hands g on too.",
        "return dx + g",
        "return dx",
    ),
    (
        60,
        "ReLU before the add",
        "Add first, then ReLU.",
        "self.relu2.forward(out + x)",
        "self.relu2.forward(out) + x",
    ),
    (601, "nothing is added", "y = relu(F(x) + x).", "out + x)", "out)"),
    (
        602,
        "the last ReLU not differentiated",
        "The backward begins with the last ReLU's mask.",
        "g = self.relu2.backward(g)",
        "g = g.copy()",
    ),
    (
        603,
        "the inner ReLU not differentiated",
        "Between the two convolutions there is a ReLU, backwards too.",
        "self.bn1.backward(self.relu1.backward(dx))",
        "self.bn1.backward(dx)",
    ),
    (
        604,
        "the projection not differentiated",
        "g goes back through the projection's batch norm and convolution.",
        "return dx + self.conv_s.backward(self.bn_s.backward(g))",
        "return dx",
    ),
    (
        605,
        "the projection's layers forgotten in layers()",
        "What is not listed is never trained.",
        "self.bn2, self.conv_s, self.bn_s",
        "self.bn2",
    ),
    (
        606,
        "the stride in the second convolution",
        "The first convolution has the stride.",
        "Conv(3, c_in, c_out, stride, rng), BatchNorm(c_out)\n"
        "        self.conv2, self.bn2 = Conv(3, c_out, c_out, 1, rng)",
        "Conv(3, c_in, c_out, 1, rng), BatchNorm(c_out)\n"
        "        self.conv2, self.bn2 = Conv(3, c_out, c_out, stride, rng)",
    ),
    (
        607,
        "the second batch norm left out",
        "Each convolution is followed by batch norm.",
        "out = self.bn2.forward(self.conv2.forward(out))",
        "self.bn2.forward(out := self.conv2.forward(out))",
    ),
]:
    Block.mistake(number, name, hint, old, new)

# ---------------------------------------------------------------------- 2 the training


train_and_predict.mistake(
    608,
    "labels of a shuffled order, images of another",
    "Take images and labels with the same indices.",
    "labels[chosen]",
    "labels[start : start + batch]",
)

train_and_predict.mistake(
    609,
    "never a step",
    "optimiser.step() changes the weights; without it nothing is learnt.",
    "            optimiser.step()\n",
    "",
)

train_and_predict.mistake(
    610,
    "test images not scaled",
    "Scale them exactly as the training images.",
    "test = ((test_images - mean) / deviation).astype(np.float32)",
    "test = test_images.astype(np.float32)",
)
