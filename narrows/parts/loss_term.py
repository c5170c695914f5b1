"""What penalties and adversaries share: both add to the loss of a record what shapes its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrows.parts.part import Part

if TYPE_CHECKING:
    from narrows.chain import Parts

__all__ = ["LossTerm", "terms_of"]


class LossTerm(Part):
    """A part that adds to the loss of a record, besides the likelihood and the bottleneck."""

    @property
    def normal_prior(self) -> bool:
        """Whether it draws the codes of all records together towards N(0, I), so that other draws decode well."""
        return False

    def check_parts(self, parts: Parts) -> None:
        """Check that it can be used with these parts.

        Raises
        ------
        InvalidParameterError
            If it cannot; says which parts it needs.
        """


def terms_of(parts: Parts) -> tuple[LossTerm, ...]:
    """Return the penalties and the adversary, if there is one."""
    return parts.penalties if parts.adversary is None else (*parts.penalties, parts.adversary)
