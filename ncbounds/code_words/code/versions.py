"""Every version of the code's grammar, and the data sets that were looked at while it was made.

A code word's bound holds if the code was fixed before the sample. A version that was designed after
looking at some images is not fixed before *them*: the bits that name it pay for choosing among
versions, not for having written one. So each lists the data sets that it was developed on, and what
its words say about these holds only if one grants that it was fixed before they were seen.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """One version of the code.

    Attributes
    ----------
    number : int
    adds : str
        What its words may describe that those of earlier versions cannot.
    developed_on : tuple of str
        Names of the data sets whose images or labels were looked at, by anybody and in any form,
        before it was fixed; those of the versions that it builds on included.
    """

    number: int
    adds: str
    developed_on: tuple[str, ...]


#: Oldest first; what the bytes of a listed version mean never changes again.
VERSIONS = (
    Version(1, "chains of small convolutions that read pixels as they are", ("Fashion-MNIST",)),
    Version(
        2, "fixed filter banks in front, on pixels or on their roots", ("Fashion-MNIST", "MNIST")
    ),
)


def version(number: int) -> Version:
    """Return the version of that number, 1 to :data:`.codeword.CODEC_VERSION`."""
    return VERSIONS[number - 1]
