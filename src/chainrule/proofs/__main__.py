"""`python -m chainrule.proofs` prints the page of equations, or writes it to a file."""

import argparse
import sys
from pathlib import Path

from chainrule.proofs import prove_all
from chainrule.proofs.page import page


def main() -> None:
    """Prove everything, and print or write the page."""
    parser = argparse.ArgumentParser(prog="python -m chainrule.proofs", description=main.__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page to FILE")
    file = parser.parse_args().write
    text = page(prove_all(measure=False))
    if file is None:
        sys.stdout.write(text)
    else:
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
