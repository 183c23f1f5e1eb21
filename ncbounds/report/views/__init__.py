"""Views of a report, one file each."""
