"""All that a bound may see: head, samples by role, and what is declared about them."""
