"""Certificates of a linear head on frozen features."""
