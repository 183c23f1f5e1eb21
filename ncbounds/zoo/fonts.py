"""Letters of free fonts as small images: the fonts that come with matplotlib, pinned by hash."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncbounds.errors import DataError

LETTERS = "ABCDEFGHIJ"

FONTS = {
    "DejaVuSans": "3fdf69cabf06049e",
    "DejaVuSans-Bold": "b184b89e3c1075f2",
    "DejaVuSans-Oblique": "ccdf74b350f11fd3",
    "DejaVuSans-BoldOblique": "6edf0283160186af",
    "DejaVuSansMono": "602ec86b8948cfcd",
    "DejaVuSansMono-Bold": "baada9a5172fe208",
    "DejaVuSansMono-Oblique": "28052813f7a709fc",
    "DejaVuSansMono-BoldOblique": "a69081c15c76c827",
    "DejaVuSerif": "107244956e9962b9",
    "DejaVuSerif-Bold": "c3753f2ed6bc673f",
    "DejaVuSerif-Italic": "3e7994fbc54fa10c",
    "DejaVuSerif-BoldItalic": "d93efec7a9d2e826",
    "STIXGeneral": "167378031e2dddc6",
    "STIXGeneralBol": "e8533dc7083fa346",
    "STIXGeneralItalic": "6cfcb333d22b7c3c",
    "STIXGeneralBolIta": "98788fd4ba48dfbb",
    "cmr10": "4dd9761b058c009d",
    "cmb10": "074497b50c43ea57",
    "cmss10": "7df91a83d05b2e47",
    "cmtt10": "6211f09ae9359999",
    "cmti10": "f9f1f9f654308ae8",
}
"""Each font's file, and the beginning of its sha256."""

RENDERED = "9196342be9f0379a"
"""Beginning of the sha256 of all rendered letters."""

#: Side of a rendered letter's canvas, and the font size in it.
CANVAS, SIZE = 40, 28

Whole = NDArray[np.int32]


@cache
def letters() -> Whole:
    """Rendered letters (fonts, letters, canvas, canvas), 0 to 255, each in the middle.

    Raises
    ------
    DataError
        If matplotlib or Pillow is missing, or a font or what Pillow makes of it is another one.
    """
    try:
        import matplotlib
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise DataError(f"{error.name} is missing; pip install 'ncbounds[plots]'") from None
    folder = Path(matplotlib.get_data_path()) / "fonts/ttf"
    found = np.zeros((len(FONTS), len(LETTERS), CANVAS, CANVAS), dtype=np.uint8)
    for i, (name, pinned) in enumerate(FONTS.items()):
        path = folder / f"{name}.ttf"
        if not path.exists() or not _sha256(path.read_bytes()).startswith(pinned):
            state = "differs" if path.exists() else "is missing"
            raise DataError(
                f"{path} {state}; needed the one with sha256 {pinned}..., found in 3.11"
            )
        font = ImageFont.truetype(str(path), SIZE, layout_engine=ImageFont.Layout.BASIC)
        for j, letter in enumerate(LETTERS):
            left, top, right, bottom = font.getbbox(letter)
            corner = (CANVAS - left - right) // 2, (CANVAS - top - bottom) // 2
            image = Image.new("L", (CANVAS, CANVAS))
            ImageDraw.Draw(image).text(corner, letter, fill=255, font=font)
            found[i, j] = np.asarray(image)
    if not _sha256(found.tobytes()).startswith(RENDERED):
        raise DataError("the fonts are the same, but this Pillow renders them otherwise than 13.0")
    return found.astype(np.int32)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
