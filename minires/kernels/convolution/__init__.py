"""Convolution and its gradients: one definition, and several ways to compute it.

To read in this order:

- `geometry`: stride, padding, dilation and groups, and the windows that they give;
- `reference`: the definition, as loops;
- `im2col`: every window a row of a matrix, which does any shape, with `grouped` and `col2im`;
- `pointwise` and `depthwise`: 1x1 kernels, and one filter a channel;
- `gpu_rows`: few large launches, for a GPU;
- `toom_cook`, `winograd`, `winograd_1d` with `turns`: fewer multiplications;
- `strided_gradient`: the gradient of the input as convolutions of stride 1;
- `choose`: which algorithm computes what, and why;
- `constant_weights`: the same where weights stay as they are, for `compile`;
- `passes`: `conv2d`, `conv2d_dx` and `conv2d_dw`, which the rest of minires calls.
"""
