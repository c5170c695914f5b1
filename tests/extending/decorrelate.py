"""A penalty: codes whose numbers do not vary together."""

import torch

from narrows.parts.options import Real, option
from narrows.penalties import Penalty


class Decorrelate(Penalty, name="decorrelate"):
    weight: float = option(Real(0), "nats for each unit of squared covariance", default=1.0)
    couples_records = True  # the cost of a record depends on the others in its batch

    def cost(self, chain, x, h, code, generator=None):
        z = code.z.flatten(1) - code.z.flatten(1).mean(0)
        covariance = z.T @ z / len(z)
        off = covariance - torch.diag(covariance.diagonal())
        return self.weight * off.square().sum().expand(len(z))
