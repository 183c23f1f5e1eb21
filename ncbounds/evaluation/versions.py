"""What a result was computed with."""

import numpy as np


def versions() -> dict[str, str]:
    """Versions that a result may depend on."""
    import torch

    from ncbounds import __version__

    return {"ncbounds": __version__, "numpy": np.__version__, "torch": torch.__version__}
