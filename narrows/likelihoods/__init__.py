"""Likelihoods: what the decoder's output means, as a distribution over records."""

from narrows.likelihoods.bernoulli import Bernoulli
from narrows.likelihoods.constrained_normal import ConstrainedNormal
from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.likelihoods.laplace import Laplace
from narrows.likelihoods.normal import Normal

__all__ = ["Bernoulli", "ConstrainedNormal", "Laplace", "Likelihood", "LikelihoodModule", "Normal"]
