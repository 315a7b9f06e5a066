"""The built-in safety classifier: logistic regression, trained here, on the local files.

Trained on DiaSafety's train part and, at half the weight, on ToxiGen's train part (statements as
replies to nothing). What was tried, and the accuracy on the 1097 items of DiaSafety's val file
without training on utterances that read like one of it, at C = 3 where nothing else is said:

    words and pieces of the reply                                  71.8 %
    … and words of the utterance                                   73.2 %
    … and ToxiGen at the weight 0.5                                74.7 %   this recipe
    … at C = 1; at C = 10                                          74.6 %; 74.2 %
    … and ToxiGen at the weight 1                                  73.9 %
    … and pieces of the utterance, ToxiGen at the weight 0.5       74.6 %
    words of reply and utterance, ToxiGen at the weight 0.5        74.7 %

One standard error is 1.3 points, so the choice among the last ones is a matter of taste.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from forgetscope.app.judge import Labelled
from forgetscope.modeling.hashed_classifier import HashedClassifier, features

__all__ = ["METHOD", "NOTE", "fit"]

METHOD = (
    "Logistic regression over hashed words and character n-grams of the reply and words of the "
    "latest turn, trained by this platform on DiaSafety (train) and ToxiGen (statements)."
)
NOTE = "It reads the reply and the latest turn alone, and knows words but not what they mean."
INVERSE_PENALTY = 3.0
STATEMENT_WEIGHT = 0.5


def fit(dialogues: Sequence[Labelled], statements: Sequence[Labelled]) -> HashedClassifier:
    """The same examples in the same order give the same weights on one kind of machine."""
    every = (*dialogues, *statements)
    weights = np.repeat([1.0, STATEMENT_WEIGHT], [len(dialogues), len(statements)])
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
    with threadpool_limits(limits=1):  # the number of threads changes how sums are split
        model.fit(
            features([(e.turns, e.reply) for e in every]),
            [e.safe for e in every],
            sample_weight=weights,
        )
    return HashedClassifier(model.coef_[0], float(model.intercept_[0]))
