"""What a cell of a table may say: the words for a missing value, and the spellings of numbers and
dates.

Both the reader of files and the encoder of columns go by these rules, so a cell means the same to
both. The patterns are written for Python's `re` and for polars alike.
"""

from __future__ import annotations

# In columns of numbers, dates and true/false, in any case. In a column of text only an empty cell
# is missing: there "NA" may be Namibia, and "None" may be an answer.
MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "?")
TRUTH = {"true": True, "false": False}

NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
WHOLE = r"^[+-]?[0-9]+$"
PADDED = r"^[+-]?0[0-9]"  # 007 is a code, not a number
INFINITE = r"^[+-]?(?i:inf|infinity)$"
DECIMAL_COMMA = r"^[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?$"
GROUPED = r"^[+-]?[0-9]{1,3}(?:[., '’][0-9]{3})*(?:[.,][0-9]+)?$"  # 1,234.5 and 1.234,5
# Numbers with a sign, a unit or blanks that no number here has: −5, 5 %, €5, (5), 1 234 with a narrow blank.
MARKED = (
    r"^\(?[+\-−–]?\s*[$€£¥]?\s*[+\-−–]?"
    r"(?:[0-9]+|[0-9]{1,3}(?:[\s\u00a0\u202f'’][0-9]{3})+)(?:[.,][0-9]*)?"
    r"\s*(?:%|‰|[$€£¥])?\)?$"
)
EXACT = 2**53  # up to here every whole number is a float

DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?Z?)?$"

# What a spreadsheet may run as a formula, if a cell begins with it (as OWASP lists them).
FORMULA = r"^[=+\-@\t\r\n＝＋－＠]"


def shortened(value: object, length: int = 40) -> str:
    """The value as a message shows it: quoted if it is text, and cut if it is long."""
    text = repr(value)
    return text if len(text) <= length else f"{text[: length - 1]}…"
