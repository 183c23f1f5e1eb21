"""A network as norm bounds see it: affine maps, activations, pools, and their norms.

:mod:`ncbounds.network.reading` makes one from a module; only that needs torch.
"""

from ncbounds.network.affine import AffineLayer
from ncbounds.network.network import Network

__all__ = ["AffineLayer", "Network"]
