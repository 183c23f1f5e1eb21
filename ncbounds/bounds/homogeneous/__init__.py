"""Bounds for all heads at once: rays of heads, their centre, the Gaussian posterior."""
