"""Markdown."""

#: Columns of the tables made for reading.
READING = ("checkpoint", "bound", "params", "kind", "target", "role", "n", "value", "test error")
