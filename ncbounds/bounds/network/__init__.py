"""Bounds of the network family: the whole network, from its training sample.

What these bounds take for fixed before the data includes how an input is made of raw data: scaling,
centring, cropping, resizing, and the numbers used for it. A mean or a whitening estimated from the
training sample is a part of the network that was fitted on it, and no bound here pays for that.
"""

from ncbounds.bounds.bound import Bound
from ncbounds.bounds.network.compressed_network import compressed_network
from ncbounds.bounds.network.distance_to_initialisation import distance_to_initialisation
from ncbounds.bounds.network.excess_capacity_conv import excess_capacity_conv
from ncbounds.bounds.network.frobenius_peeling import frobenius_peeling
from ncbounds.bounds.network.frobenius_product import frobenius_product
from ncbounds.bounds.network.pac_bayes_flatness import pac_bayes_flatness
from ncbounds.bounds.network.parameter_cover import parameter_cover
from ncbounds.bounds.network.path_norm import path_norm
from ncbounds.bounds.network.spectral_complexity import spectral_complexity
from ncbounds.bounds.network.spectral_margin import spectral_margin
from ncbounds.bounds.network.spectral_product import spectral_product
from ncbounds.bounds.network.unlabelled_network import unlabelled_network

BOUNDS: tuple[Bound, ...] = (
    parameter_cover,
    excess_capacity_conv,
    spectral_margin,
    frobenius_peeling,
    compressed_network,
    unlabelled_network,
    spectral_product,
    spectral_complexity,
    frobenius_product,
    path_norm,
    distance_to_initialisation,
    pac_bayes_flatness,
)
