"""Collapse in depth: views and probes of places of a network, and what their errors show."""
