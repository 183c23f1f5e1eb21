"""From files or a manifest to stored results and a report."""
