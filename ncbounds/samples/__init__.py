"""Samples: roles, extraction, streamed statistics."""
