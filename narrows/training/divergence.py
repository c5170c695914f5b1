"""The error of a run whose loss stopped being finite: where, why that may be, and what to do."""

from __future__ import annotations

from typing import Any

from narrows.errors import TrainingDivergedError

__all__ = ["diverged"]


def diverged(learner: Any, where: str, learning_rate: float, *, is_first_step: bool, kept: str = "") -> Exception:
    """Return the error of a run whose loss stopped being finite.

    Parameters
    ----------
    learner : Learner
        What is trained. Its attribute ``user_code``, if it has one, names the functions and modules of the user.
    where : str
        Epoch and step.
    learning_rate : float
        That of the last step.
    is_first_step : bool
        Whether no weight was changed before, so that the learning rate cannot be the cause.
    kept : str
        A sentence about the checkpoint.
    """
    code = " and ".join(getattr(learner, "user_code", ()))
    text = f"The loss stopped being finite in {where}"
    if is_first_step:
        check = f"Check that {code} of the model returns finite numbers, and look" if code else "Look"
        text += f", before any weight was changed. {check} for extreme values in the data."
    else:
        text += (
            f", at a learning rate of {learning_rate:.3g}. Try {learning_rate / 10:.3g}, and look for extreme values"
        )
        text += " in the data."
        if code:
            text += f" Also check {code} of the model: a value or a gradient that is not finite, such as the gradient "
            text += "of a square root at 0, has the same effect."
    return TrainingDivergedError(f"{text} {kept}".rstrip())
