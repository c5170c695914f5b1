"""Code as users write it: a function that builds networks, a loss, a penalty, and a class of modules."""

import torch
from torch import nn

import narrows


@narrows.register
def halves(shape, n_latent):
    n_values = torch.Size(shape).numel()
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(n_values, 9), nn.Tanh(), nn.Dropout(0.2), nn.Linear(9, n_latent))
    return encoder, nn.Sequential(nn.Linear(n_latent, n_values), nn.Unflatten(1, shape))


@narrows.register
def absolute(x_hat, x):
    return (x_hat - x).abs().flatten(1).sum(1)


@narrows.register
def short(z):
    return 0.1 * z.square().sum(1)


@narrows.register
class Shifted(nn.Module):
    """A layer with an argument that is a module, and a tensor that is not in its state."""

    def __init__(self, body, by=0.5):
        super().__init__()
        self.body, self.by = body, by
        self.shift = torch.full((4,), by)

    def forward(self, x):
        return self.body(x.flatten(1)) + self.shift


@narrows.register
class Biased(nn.Module):
    """A layer with an argument that is called as the flag of layers of PyTorch, but is a number."""

    def __init__(self, body, bias):
        super().__init__()
        self.body, self.bias = body, bias

    def forward(self, x):
        return self.body(x.flatten(1)) + self.bias


@narrows.register
class Counting(nn.Module):
    """A layer that counts its calls in a state of its own, a tensor."""

    def __init__(self, body):
        super().__init__()
        self.body, self.calls = body, 0

    def forward(self, x):
        self.calls += 1
        return self.body(x.flatten(1))

    def get_extra_state(self):
        return torch.tensor([self.calls])

    def set_extra_state(self, state):
        self.calls = int(state)


class Unregistered(nn.Linear):
    pass
