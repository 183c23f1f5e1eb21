"""Networks that are known by name, matched to tensors, or guessed from them."""
