"""Text that people see: escapes for what cannot be seen, numbers and times in words, fonts."""

import re
from functools import cache, lru_cache
from pathlib import Path
from unicodedata import bidirectional, category, normalize

from PIL import ImageFont, features

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, direction, lone surrogates, ends of lines
JOINERS = "\u200c\u200d"  # parts of Persian words and of emoji
PLACEHOLDERS = re.compile("(?i)lastresort|blank|notdef")  # fonts: a sign for every letter
VARIANTS = re.compile("[\ufe00-\ufe0f]")  # choose between forms of the letter before
SCORE = "0.123456789"
CHECKED_SIZE = 20  # pixels

Lettering = tuple[str, str]  # a text, and the file of the font that it is written in


def printable(text: str, keep: str = "") -> str:
    r"""Write characters that a terminal obeys or hides as escapes, such as \x1b, \n and \u202e.

    Letters of all scripts stay as they are, and so do the characters in `keep`.
    """

    def shown(letter: str) -> str:
        is_hidden = category(letter) in HIDDEN and letter not in keep + JOINERS
        return letter.encode("unicode_escape").decode() if is_hidden else letter

    return text if text.isprintable() else "".join(map(shown, text))


def counted(number: int, thing: str) -> str:
    """Write a number with its noun: 1 box, 2 boxes, 1,000 images."""
    ending = "" if number == 1 else "es" if thing[-1] in "sx" else "s"
    return f"{number:,} {thing}{ending}"


def listed(words: list[str], limit: int) -> str:
    """Write words in a row, of many the first: a, b and 1,000 more."""
    rest = len(words) - limit
    return ", ".join(words[:limit]) + (f" and {rest:,} more" if rest > 0 else "")


def format_seconds(seconds: float) -> str:
    """Write a duration as people do: 42 s, 3 min 20 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def require(is_right: bool, where: object, expected: str, value: object) -> None:
    """Raise ValueError unless a value that was read is right; `where` names file and element."""
    if not is_right:
        raise ValueError(f"{where}: expected {expected}; received {value!r:.80}")


class PrintableStream:
    """A text stream that escapes what a terminal obeys, but for ends of lines and tabs.

    `unfiltered` is the stream beneath, for what draws on a terminal on purpose.
    """

    def __init__(self, stream):
        self.unfiltered = stream

    def write(self, text: str) -> int:
        return self.unfiltered.write(printable(text, keep="\n\t"))

    def __getattr__(self, name: str):
        return getattr(self.unfiltered, name)


@lru_cache
def load_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """Load a font for letters of `size` pixels."""
    return ImageFont.truetype(path, size)


@cache
def default_font() -> str:
    """Return the file of DejaVu Sans, which comes with matplotlib: Pillow's has English only."""
    from matplotlib import get_data_path

    return str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))


@cache
def system_fonts() -> list[str]:
    """Return the files of the system's fonts; on a Mac it takes seconds."""
    from matplotlib.font_manager import findSystemFonts

    return sorted(file for file in findSystemFonts() if not PLACEHOLDERS.search(Path(file).stem))


@lru_cache(maxsize=4096)
def in_font(text: str, shaped: bool | None = None) -> Lettering | None:
    """Return a text with the first font that has all its letters: DejaVu Sans if it does.

    None where no font has them, and for a script whose letters join or run from right to left if
    what draws them cannot do that: `shaped` tells, by default whether Pillow can. Characters that
    cannot be seen are escapes in it.
    """
    text = VARIANTS.sub("", normalize("NFC", printable(text)))
    shaped = features.check("raqm") if shaped is None else shaped
    if not text.strip() or not shaped and any(map(_is_shaped, text)):
        return None
    letters = {ord(letter) for letter in text if not letter.isspace() and letter not in JOINERS}
    if letters <= _codes(default_font()):
        return text, default_font()
    letters |= set(map(ord, SCORE))  # which labels print behind a name
    return next(((text, file) for file in system_fonts() if letters <= _codes(file)), None)


def missing_letters(names: list[str]) -> str:
    """Say which classes are drawn as their numbers since no font has their letters, or ""."""
    missing = [index for index, name in enumerate(names) if not in_font(name)]
    classes = ", ".join(f"class {index} is {printable(names[index])}" for index in missing)
    lack = "images show numbers, as no font here has all letters of the names"
    return f"{lack}: {classes}" if missing else ""


def _is_shaped(letter: str) -> bool:
    is_mark = category(letter).startswith("M") or letter in JOINERS
    return is_mark or bidirectional(letter) in ("R", "AL")


@cache
def _codes(file: str) -> frozenset[int]:
    """Return the codes of all letters of a font, none of one that cannot be read at any size."""
    from matplotlib.ft2font import FT2Font

    try:
        load_font(file, CHECKED_SIZE)
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
