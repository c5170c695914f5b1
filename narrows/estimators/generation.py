"""How an estimator draws new records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils.validation import check_is_fitted

from narrows.data import Source
from narrows.data.tables.restored import frame_of
from narrows.data.text.pieces import texts_of
from narrows.errors import InvalidParameterError
from narrows.estimators.base import labels_of, listed
from narrows.estimators.learned import LearnedAttributes
from narrows.estimators.table_samples import new_rows
from narrows.estimators.training_data import CONDITIONAL
from narrows.model.sampling import (
    DRAWN_FOR_A_TEXT,
    has_prior,
    likeliest_texts,
    records_of,
    sample_codes,
    sample_records,
)
from narrows.numerics.randomness import drawn_seed, random_state_of

__all__ = ["Generation"]


class Generation(LearnedAttributes):
    """Draws records from a fitted autoencoder, of chosen labels where it is conditional."""

    def sample(
        self,
        n: int = 1,
        y: ArrayLike | None = None,
        *,
        source: str = "auto",
        noise: bool = False,
        random_state: Any = None,
        dtype: DTypeLike | None = None,
        given: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return n new records (n, *shape), in the units of the training data; texts as a list of `str`.

        Codes are drawn and decoded. They come from the prior N(0, I) where training drew the codes towards it
        (variational models, and those with the penalty ``mmd``), otherwise, and for models with an adversary, from
        `latent_density_`. For each text eight codes are drawn, and the text that the model finds likeliest is kept.
        Rows of a table need no codes: their cells are drawn column by column, each given those before, and returned as
        a data frame; see `docs/tables.md`.

        Parameters
        ----------
        n : int
            Number of records.
        y : label, or array_like of shape (n,), optional
            The labels of the new records, for conditional models. None: each label in turn, all equally often.
        source : "auto", "prior" or "density"
            The distribution of the codes.
        noise : bool
            Draw from the likelihood p(x | z); otherwise records are its means.
        random_state : int, RandomState, Generator or None
            Source of the draws.
        dtype : dtype, optional
            As for `reconstruct`.
        given : mapping of str to value, optional
            For tables: values that some columns have, by name, ``{"country": "Peru"}``. The others are drawn given
            these.

        Raises
        ------
        InvalidParameterError
            If the model has no prior or density to draw from, or a conditional model gets no labels.
        DataError
            If there is no such label.
        NotDecodableError
            If the decoder needs more of a record than its code.
        """
        check_is_fitted(self)
        state = random_state_of(random_state)
        if self._fields is not None and source == "auto":
            found = new_rows(self, n, self._fields, given=given, seed=int(state.randint(2**31 - 1)))
            return found.values if dtype is not None else frame_of(self._fields[0], found.values, found.texts, None)
        if given is not None:
            raise InvalidParameterError(
                "The 'given' of sample is for models of tables, with source='auto'. Leave it out."
            )
        is_text = self.record_ == "text"
        n_codes = n * DRAWN_FOR_A_TEXT if is_text and not noise and isinstance(n, int) else n
        codes = self.sample_codes(n_codes, source=source, random_state=state)
        n_classes = self.chain_.parts.n_classes
        classes = np.arange(n) % n_classes if y is None and n_classes else self.classes_for(y, n)
        if noise:
            records = sample_records(self.model_, codes, classes, int(state.randint(2**31 - 1)), dtype)
        elif is_text:
            records = likeliest_texts(self.model_, codes, classes)
        else:
            records = records_of(self.model_, codes, classes, dtype)
        return texts_of(records) if is_text and dtype is None else records

    def sample_codes(self, n: int = 1, *, source: str = "auto", random_state: Any = None) -> NDArray[Any]:
        """Return n flat codes (n, n_latent_), drawn as `sample` draws them.

        NumPy draws them, so that a seed gives the same codes on every device.
        """
        check_is_fitted(self)
        seed = drawn_seed(random_state)
        return sample_codes(self.model_, n, source=source, seed=seed)

    @property
    def has_prior_(self) -> bool:
        """Whether the model was trained to have the codes of all records together follow N(0, I)."""
        check_is_fitted(self)
        return has_prior(self.model_)

    def classes_for(self, y: ArrayLike | None, n: int) -> NDArray[np.int64] | None:
        """Return the classes of n new records, by one label or n of them; None if the model is not conditional.

        Raises
        ------
        InvalidParameterError
            If a conditional model gets no labels, or another model gets labels.
        """
        if not self.chain_.parts.n_classes:
            if y is not None:
                raise InvalidParameterError(
                    "Labels (y, --label) need a conditional model, but this model has conditional=False. "
                    "Leave them out."
                )
            return None
        if y is None:
            raise InvalidParameterError(
                f"This conditional model needs a label (y, --label). Choose one of: {listed(self.classes_)}."
            )
        labels = np.full(n, y) if np.ndim(y) == 0 else np.asarray(y)
        return self.classes_of(Source(np.zeros((n, 1)), name="y"), labels)

    def classes_of(self, source: Source, y: ArrayLike | None) -> NDArray[np.int64] | None:
        """Return the classes of records as positions in ``classes_``; None if the model is not conditional."""
        return self._positions(labels_of(source, y, owner=CONDITIONAL)) if self.chain_.parts.n_classes else None
