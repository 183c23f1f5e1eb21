"""The code: how a few hundred bytes mean a network, exactly and for good."""
