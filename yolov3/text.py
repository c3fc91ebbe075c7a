"""Text that people see, whatever characters are in it."""

from unicodedata import category

HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control, direction, lone surrogates, ends of lines
JOINERS = "\u200c\u200d"  # parts of Persian words and of emoji


def printable(text: str, keep: str = "") -> str:
    r"""Write characters that a terminal obeys or hides as escapes, such as \x1b, \n and \u202e.

    Letters of all scripts stay as they are, and so do the characters in `keep`.
    """
    if text.isprintable():
        return text
    kept = keep + JOINERS
    return "".join(
        one.encode("unicode_escape").decode()
        if category(one) in HIDDEN and one not in kept
        else one
        for one in text
    )


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
