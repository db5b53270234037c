"""The names of torch.optim that minires writes another way. `table` has the format."""

ROWS = """
# Optimisers: each is a subclass of optim.Optimizer with an `update`; these stand in
Adagrad Adadelta || optim.RMSprop(net.parameters(), lr=0.01)
Adamax NAdam RAdam Adafactor Muon SparseAdam || optim.AdamW(net.parameters(), lr=0.001)
ASGD Rprop || optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
LBFGS || optim.SGD(net.parameters(), lr=0.1, momentum=0.9) | a step takes no closure

# Schedules and the rest
lr_scheduler || optim.StepLR(optimizer, step_size=30) | schedules stand beside the optimisers
swa_utils swap_in_optimizer_params_and_state || {k: v.copy() for k, v in net.state_dict().items()} \
| average such copies, and load_state_dict the mean
"""
