"""Training: order, budgets, optimisers, checkpoints and the loop that knows no losses."""
