"""One forward pass from inputs to stored samples."""
