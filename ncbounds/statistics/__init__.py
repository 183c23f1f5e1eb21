"""Statistics of feature rows: moments, streamed."""
