"""How good a model is: metrics, intervals, reliability, compound expressions, few examples, learned weights."""
