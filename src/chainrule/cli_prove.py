"""The command `chainrule prove`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from chainrule.cli_parts import examples, print_json

if TYPE_CHECKING:
    from chainrule.proofs import Proof


@click.command(
    short_help="Prove the equations.",
    epilog=examples("""
chainrule prove
chainrule prove mish categorical_cross_entropy
chainrule prove adam --json
"""),
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", "as_json", is_flag=True, help="Print the proofs as JSON.")
@click.pass_context
def prove(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Prove the derivative of every row NAME of the tables, or of all of them.

    SymPy differentiates the forward function and must find exactly the row's own derivative. The
    rounding error is measured against arithmetic of 400 digits, in units of the machine epsilon. If
    something is not proved, the exit code is 1.
    """
    from chainrule import proofs
    from chainrule.cli_text import console

    with console(stderr=True).status("Proving"):
        found = [p for name in names for p in proofs.prove(name)] if names else list(proofs.prove_all())
    if as_json:
        print_json([proof.as_dict() for proof in found])
    else:
        _show(found)
    ctx.exit(0 if all(proof.proved for proof in found) else 1)


def _show(found: list[Proof]) -> None:
    from rich.table import Table
    from rich.text import Text

    from chainrule.cli_text import console
    from chainrule.proofs.rounding import SCALE

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("Row", "Table", "Statement", "Proved", "Error"):
        table.add_column(title, overflow="fold")
    previous = ""
    for proof in found:
        verdict = Text("yes", style="green") if proof.proved else Text(f"NO: {proof.reason}", style="red")
        subject = "" if proof.subject == previous else proof.subject
        statement = Text(proof.statement)
        table.add_row(subject, proof.table if subject else "", statement, verdict, _errors(proof.error))
        previous = proof.subject
    out = console()
    out.print(table)
    count = sum(proof.proved for proof in found)
    out.print(f"\n{count} of {len(found)} statements are proved. Errors are in {SCALE}.")


def _errors(error: Any) -> str:
    """The larger of the errors in double and in single precision."""
    return f"{max(error.values()):.2g}" if error else ""
