"""From a module to its layers, by running it."""
