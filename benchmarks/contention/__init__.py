"""A discrete-event model of a checkout under contention: orders, contenders, figures."""
