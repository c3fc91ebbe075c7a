"""Fonts made on the spot, so that tests do not depend on those of a machine."""

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen


def make_font(path: Path, letters: str, blank: str = "0123456789.") -> str:
    """Write a font whose letters are bars of different heights; `blank` ones have no ink."""
    names = {ord(letter): f"u{ord(letter):x}" for letter in letters + blank}
    order = [".notdef", *names.values()]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    glyphs = {name: _bar(900 - 100 * i) for i, name in enumerate(order)}
    glyphs |= {names[ord(letter)]: _bar(0) for letter in blank}
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics({name: (900, 100) for name in order})
    builder.setupHorizontalHeader(ascent=900, descent=-200)
    builder.setupNameTable({"familyName": path.stem, "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return str(path)


def _bar(height: int):
    pen = TTGlyphPen(None)
    if height:
        pen.moveTo((100, 0))
        for corner in ((100, height), (800, height), (800, 0)):
            pen.lineTo(corner)
        pen.closePath()
    return pen.glyph()
