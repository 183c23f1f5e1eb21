"""From a declaration to arrays or loaders."""
