"""A publication that a bound cites."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """One publication.

    Attributes
    ----------
    key : str
        By which it is cited, e.g. ``"clopper1934"``.
    author : str
        ``"A. One, B. Two and C. Three"``.
    title : str
    published : str
        Where and when, e.g. ``"Biometrika 26(4):404-413, 1934"``.
    year : int
    """

    key: str
    author: str
    title: str
    published: str
    year: int

    def __str__(self) -> str:
        return f"{self.author}. {self.title}. {self.published}."

    def to_bibtex(self) -> str:
        """Return a BibTeX entry."""
        fields = {
            "author": self.author.replace(", ", " and "),
            "title": f"{{{self.title}}}",  # inner braces keep capitals
            "howpublished": self.published,
            "year": str(self.year),
        }
        lines = [f"  {name} = {{{text}}}" for name, text in fields.items()]
        return f"@misc{{{self.key},\n" + ",\n".join(lines) + "\n}"
