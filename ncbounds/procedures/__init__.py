"""Fitting procedures for linear heads."""
