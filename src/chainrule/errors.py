"""The exception tree: every error that chainrule raises on purpose derives from `ChainruleError`."""

from __future__ import annotations


class ChainruleError(Exception):
    """Base class of chainrule's own errors."""


class OptionError(ChainruleError, ValueError):
    """An option has a value outside of what it may be."""


class DataError(ChainruleError, ValueError):
    """The data cannot be used as they are."""


class DataTypeError(DataError, TypeError):
    """The data hold objects of a type that cannot be used."""


class DivergenceError(ChainruleError, ValueError):
    """Training produced a loss or weights that are not finite; the last finite weights were kept."""


class FileError(ChainruleError, ValueError):
    """A model file or a checkpoint is damaged, is none, is of a newer version, or is of another fit."""


class CheckError(ChainruleError, AssertionError):
    """A gradient or agreement check failed."""


class MissingPackageError(ChainruleError, ImportError):
    """Something needs a package of an optional extra that is not installed."""


class TrainingWarning(UserWarning):
    """Training ended, but not as it should."""
