"""Bounds on evidence: which rows, with which delta, beside which measured error."""
