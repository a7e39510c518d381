"""Terms to add to a loss, one line each, that hold weights, logits and recurrent Jacobians in bounds."""
