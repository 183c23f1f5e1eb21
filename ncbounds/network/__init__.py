"""A network read layer by layer: affine maps, activations, pools, and their norms.

Importing this package does not import torch; :func:`summarise` does.
"""

from ncbounds.network.affine import AffineLayer
from ncbounds.network.chain import Network
from ncbounds.network.summary import summarise

__all__ = ["AffineLayer", "Network", "summarise"]
