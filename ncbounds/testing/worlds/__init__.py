"""Laws whose true errors are known, for testing bounds."""
