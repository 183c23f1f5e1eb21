"""From a file to a classifier: safe readers, architectures, and the head that proves itself."""
