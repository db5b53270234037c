"""The names of torch.optim that minires writes another way. `table` has the format."""

ROWS = """
# Optimisers: each is a subclass of optim.Optimizer with an `update`; these stand in
Adagrad Adadelta || optim.RMSprop(net.parameters(), lr=0.01)
Adamax NAdam RAdam Adafactor Muon SparseAdam || optim.AdamW(net.parameters(), lr=0.001)
ASGD Rprop || optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
LBFGS || optim.SGD(net.parameters(), lr=0.1, momentum=0.9) | its step calls a closure once

# The rest
swa_utils swap_in_optimizer_params_and_state || {k: v.copy() for k, v in net.state_dict().items()} \
| average such copies, and load_state_dict the mean
"""

LR_SCHEDULER_ROWS = """
# Schedules: each is a function of the number of steps
LinearLR | | optim.LinearWarmup(optimizer, 5)
ConstantLR | | optim.LambdaLR(optimizer, lambda n: 1 / 3 if n < 5 else 1.0)
MultiplicativeLR || optim.LambdaLR(optimizer, lambda n: 0.95**n)
PolynomialLR | | optim.LambdaLR(optimizer, lambda n: 1 - min(n, 5) / 5)
CosineAnnealingWarmRestarts \
|| optim.LambdaLR(optimizer, lambda n: (1 + math.cos(math.pi * (n % 10) / 10)) / 2)
CyclicLR || optim.LambdaLR(optimizer, lambda n: 1 - abs(n % 20 - 10) / 10)
ChainedScheduler || optim.LambdaLR(optimizer, lambda n: 0.9**n * 0.1 ** (n // 30)) | the product
Optimizer || optim.Optimizer
EPOCH_DEPRECATION_WARNING || optim.StepLR(optimizer, step_size=30) | step takes no epoch
"""

OPTIMIZER_ROWS = """
# What an optimiser lacks: a step has no hooks, since a loop has lines
register_step_pre_hook register_step_post_hook OptimizerPreHook OptimizerPostHook \
|| optimizer.step() | what shall happen before or after stands beside it
register_state_dict_pre_hook register_state_dict_post_hook register_load_state_dict_pre_hook \
register_load_state_dict_post_hook || optimizer.load_state_dict(optimizer.state_dict()) | change \
the dict before
profile_hook_step || minires.profile()
"""

SCHEDULE_ROWS = """
# What a schedule lacks: it is a function of the number of steps
get_lr || schedule.get_last_lr() | a schedule of your own defines lr_at(self, step, base_lr)
"""
