"""Likelihoods: distributions over records whose parameters the decoder outputs."""

from narrows.likelihoods.bernoulli import Bernoulli
from narrows.likelihoods.categorical import Categorical
from narrows.likelihoods.columns import Columns
from narrows.likelihoods.constrained_normal import ConstrainedNormal
from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.likelihoods.custom import CustomLoss
from narrows.likelihoods.laplace import Laplace
from narrows.likelihoods.logistic import Logistic
from narrows.likelihoods.normal import Normal
from narrows.likelihoods.point_estimate import PointEstimate

__all__ = [
    "Bernoulli",
    "Categorical",
    "Columns",
    "ConstrainedNormal",
    "CustomLoss",
    "Laplace",
    "Likelihood",
    "LikelihoodModule",
    "Logistic",
    "Normal",
    "PointEstimate",
]
