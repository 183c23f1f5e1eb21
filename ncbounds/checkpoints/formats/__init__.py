"""File formats: readers, and foreign formats with what converts them."""

from ncbounds.checkpoints.formats.format import Flat, Format, Nested
from ncbounds.checkpoints.formats.registered import FORMATS

__all__ = ["FORMATS", "Flat", "Format", "Nested"]
