"""All formats that are known, shipped or registered."""

from ncbounds.checkpoints.formats import foreign, npz, safetensors
from ncbounds.checkpoints.formats.format import Format
from ncbounds.registry import Registry

#: Formats in the order in which they are asked; what none recognises is read as torch's own.
FORMATS: Registry[Format] = Registry(
    Format,
    "format",
    lambda f: f.name,
    lambda: (safetensors.FORMAT, *foreign.FORMATS, npz.FORMAT),
)
