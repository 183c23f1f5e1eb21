"""Whose error a row speaks about, and how that is measured."""
