"""How wide a text is in LaTeX's own letters, so that a table is made to fit before it is set."""

#: Widths of the letters of Computer Modern Roman at ten points, those of its metrics (cmr10.tfm),
#: and of the signs of other fonts that tables use.
_CMR10 = {
    2.78: "!',.:;<[]`il",
    3.06: "fj",
    3.33: "- ",
    3.61: "I",
    3.89: "()t",
    3.92: "r",
    3.94: "s",
    4.44: "cez",
    4.72: "?",
    5.0: '"$*/0123456789ago–',
    5.14: "J",
    5.28: "kqvxy",
    5.56: "Sbdhnpu",
    6.11: "Z",
    6.25: "L",
    6.53: "F",
    6.81: "EP",
    7.08: "B",
    7.22: "CTw",
    7.36: "R",
    7.5: "AHNUVXY",
    7.64: "D",
    7.78: "&+=@KOQ<>~±^_{}\\|",
    7.85: "G",
    8.34: "#%m✓",
    9.17: "M",
    10.28: "W",
}
_WIDTH = {letter: width for width, letters in _CMR10.items() for letter in letters}
#: Bold letters are at most so much wider; letters that are not in the list, and raised ones.
BOLD, OTHER, RAISED = 1.19, 10.3, 5.0


def points(text: str, *, bold: bool = False, raised: int = 0) -> float:
    """Width of a text at ten points, without kerns, which only make it narrower.

    Parameters
    ----------
    text : str
        As it is read, not as it is escaped.
    bold : bool
    raised : int
        Number of raised letters behind it.
    """
    width = sum(_WIDTH.get(letter, OTHER) for letter in text)
    return width * (BOLD if bold else 1.0) + raised * RAISED
