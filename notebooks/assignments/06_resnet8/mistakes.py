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
    (
        611,
        "a projection only where the stride changes",
        "Where the channels change the input cannot be added as it is either.",
        "if stride != 1 or c_in != c_out:",
        "if stride != 1:",
    ),
    (
        612,
        "a projection only where the channels change",
        "Where the stride changes the input is larger than the branch's result.",
        "if stride != 1 or c_in != c_out:",
        "if c_in != c_out:",
    ),
    (
        613,
        "a projection only where there are more channels",
        "Fewer channels are a change too.",
        "c_in != c_out",
        "c_in < c_out",
    ),
    (
        614,
        "one ReLU for both places",
        "It keeps the mask of its last forward, so the first mask is lost: make two.",
        "self.relu1, self.relu2 = ReLU(), ReLU()",
        "self.relu1 = self.relu2 = ReLU()",
    ),
    (
        615,
        "the projection without its stride",
        "Both ways must come out at the same size.",
        "Conv(1, c_in, c_out, stride, rng)",
        "Conv(1, c_in, c_out, 1, rng)",
    ),
    (
        616,
        "the projection without batch norm",
        "A 1x1 convolution and batch norm.",
        "x = self.bn_s.forward(self.conv_s.forward(x))",
        "self.bn_s.forward(x := self.conv_s.forward(x))",
    ),
    (
        617,
        "a layer listed twice",
        "An optimiser would change its parameters twice in a step.",
        "self.conv2, self.bn2, self.conv_s, self.bn_s",
        "self.conv2, self.bn2, self.conv1, self.conv_s, self.bn_s",
    ),
    (
        618,
        "the branch run twice",
        "Each layer once: batch norm's running statistics move with every forward.",
        "        out = self.bn2.forward(self.conv2.forward(out))\n",
        "        self.bn2.forward(self.conv2.forward(out))\n"
        "        out = self.bn2.forward(self.conv2.forward(out))\n",
    ),
    (
        619,
        "one batch norm for both convolutions",
        "They have statistics and parameters of their own.",
        "self.conv2, self.bn2 = Conv(3, c_out, c_out, 1, rng), BatchNorm(c_out)",
        "self.conv2, self.bn2 = Conv(3, c_out, c_out, 1, rng), self.bn1",
    ),
]:
    Block.mistake(number, name, hint, old, new)


# ---------------------------------------------------------------------- 2 the training

for number, name, hint, old, new in [
    (
        608,
        "labels of a shuffled order, images of another",
        "Take images and labels with the same indices.",
        "labels[chosen]",
        "labels[start : start + batch]",
    ),
    (
        609,
        "never a step",
        "optimiser.step() changes the weights; without it nothing is learnt.",
        "            optimiser.step()\n",
        "",
    ),
    (
        610,
        "the scaling of the training not returned",
        "Test images must be scaled exactly as the training images.",
        "return mean, deviation",
        "return 0, 1",
    ),
    (
        620,
        "a model of its own is trained",
        "Train the one that you are given: your own is gone when the function returns.",
        "    optimiser = SGD(",
        "    model = ResNet8(classes=len(set(labels.tolist())))\n    optimiser = SGD(",
    ),
    (
        621,
        "only the head is trained",
        "Give the optimiser all parameters.",
        "model.parameters()",
        "model.head.parameters()",
    ),
    (
        622,
        "batch norm in evaluation mode while training",
        "In training it takes the batch's statistics, and the running ones move.",
        "    for rate in rates:\n",
        "    model.train(False)\n    for rate in rates:\n",
    ),
    (
        623,
        "never shuffled",
        "Images may come sorted: then each batch is of one class.",
        "rng.permutation(len(x))",
        "np.arange(len(x))",
    ),
    (
        624,
        "no backward pass",
        "model.backward(g) computes the gradients.",
        "            model.backward(g)\n",
        "",
    ),
    (
        625,
        "one batch only",
        "The step stands in the loop over batches, not behind it.",
        "            optimiser.step()\n",
        "        optimiser.step()\n",
    ),
    (
        626,
        "bytes minus a whole number",
        "Bytes have no negative numbers: 0 - 128 is 128. Make them floats first.",
        "mean, deviation = images.mean(), images.std()\n    x = ((images - mean) / deviation)",
        "mean, deviation = 128, 128\n    x = ((images - mean) / deviation)",
    ),
    (
        627,
        "uphill",
        "A step goes against the gradient.",
        "optimiser.lr = rate\n",
        "optimiser.lr = -rate\n",
    ),
    (
        628,
        "the shortcuts' projections switched off",
        "A residual block adds its shortcut.",
        "            optimiser.step()\n",
        "            optimiser.step()\n"
        "            for block in model.blocks[1:]:\n"
        "                block.bn_s.gamma.data *= 0\n"
        "                block.bn_s.beta.data *= 0\n",
    ),
]:
    train.mistake(number, name, hint, old, new)
