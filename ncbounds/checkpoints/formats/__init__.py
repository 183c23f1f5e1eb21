"""File formats: readers, and foreign formats with what converts them."""
