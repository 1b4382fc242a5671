"""chainrule: neural networks you can read.

Feed-forward networks on tables whose equations are written out by hand, once: run them (compiled), read
them (with their numbers) and prove them. Names are loaded when they are first used, so that
``import chainrule`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chainrule import plot as plot
    from chainrule.check import check_gradients as check_gradients
    from chainrule.diagnose import Diagnosis as Diagnosis
    from chainrule.equations.registration import register_activation as register_activation
    from chainrule.errors import ChainruleError as ChainruleError
    from chainrule.errors import CheckError as CheckError
    from chainrule.errors import DataError as DataError
    from chainrule.errors import DataTypeError as DataTypeError
    from chainrule.errors import DivergenceError as DivergenceError
    from chainrule.errors import FileError as FileError
    from chainrule.errors import MissingPackageError as MissingPackageError
    from chainrule.errors import OptionError as OptionError
    from chainrule.errors import TrainingWarning as TrainingWarning
    from chainrule.estimators import MLPClassifier as MLPClassifier
    from chainrule.estimators import MLPRegressor as MLPRegressor
    from chainrule.explanation import explain as explain
    from chainrule.models import load as load
    from chainrule.proofs import prove as prove
    from chainrule.proofs import prove_all as prove_all
    from chainrule.spec import Layer as Layer
    from chainrule.spec import Network as Network
    from chainrule.spec import Training as Training
    from chainrule.table_model import TableModel as TableModel
    from chainrule.table_page import report_html as report_html
    from chainrule.tabular_classifier import TabularClassifier as TabularClassifier
    from chainrule.tabular_regressor import TabularRegressor as TabularRegressor
    from chainrule.trace import Trace as Trace
    from chainrule.trace_equation import Equation as Equation
    from chainrule.tuning import tune as tune
    from chainrule.watch import Watch as Watch

_HOMES = {
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "TableModel": "table_model",
    "TabularClassifier": "tabular_classifier",
    "TabularRegressor": "tabular_regressor",
    "load": "models",
    "Diagnosis": "diagnose",
    "Watch": "watch",
    "register_activation": "equations.registration",
    "check_gradients": "check",
    "prove": "proofs",
    "explain": "explanation",
    "Trace": "trace",
    "Equation": "trace_equation",
    "prove_all": "proofs",
    "report_html": "table_page",
    "tune": "tuning",
    "Layer": "spec",
    "Network": "spec",
    "Training": "spec",
    "ChainruleError": "errors",
    "CheckError": "errors",
    "DataError": "errors",
    "DataTypeError": "errors",
    "DivergenceError": "errors",
    "FileError": "errors",
    "MissingPackageError": "errors",
    "OptionError": "errors",
    "TrainingWarning": "errors",
}

_MODULES = ("plot",)  # loaded when they are first used, too

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - the names are the table's keys


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("chainrule")
    if name in _MODULES:
        return importlib.import_module(f"chainrule.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'chainrule' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"chainrule.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES])
