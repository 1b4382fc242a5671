"""`MLPClassifier` and `MLPRegressor`: scikit-learn's two classes, and what their users have asked for.

A program written for `sklearn.neural_network` runs unchanged after its import line is changed, and with
the same `random_state` it finds the same weights to rounding. Documented differences:

- losses are exact at any logit (scikit-learn clips probabilities);
- with several regression outputs, `loss_` is the sum over outputs, which is what is minimised
  (scikit-learn reports the mean over outputs and descends the sum);
- `partial_fit` goes on with the stream of shuffles, so N calls equal `fit` for N epochs, bit for bit;
- `warm_start` keeps the validation rows of the first fit;
- a model that diverges keeps its last finite weights, beside raising.
"""

from chainrule.classifier import MLPClassifier
from chainrule.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
