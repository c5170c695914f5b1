"""Likelihoods: distributions over records whose parameters the decoder outputs."""

from narrows.likelihoods.bernoulli import Bernoulli
from narrows.likelihoods.constrained_normal import ConstrainedNormal
from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.likelihoods.laplace import Laplace
from narrows.likelihoods.normal import Normal

__all__ = ["Bernoulli", "ConstrainedNormal", "Laplace", "Likelihood", "LikelihoodModule", "Normal"]
