"""Draw series with their labelled outliers, and the score of each step below: docs/pictures/series-scores.png.

python bench/series_scores/picture.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from run import nab

from narrows.pictures import save
from narrows.pictures.style import ACCENT, CLASSES, INK, MUTED, new_figure, style
from narrows.uses import score_series

SHOWN = {
    "realKnownCause/machine_temperature_system_failure.csv": "Temperature of a machine, every five minutes",
    "artificialWithAnomaly/art_daily_flatmiddle.csv": "A daily pattern that is flat on one day",
}
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "series-scores.png"


def main() -> None:
    series = nab()
    with style():
        figure = new_figure(1440, 900)
        grid = figure.add_gridspec(3 * len(SHOWN) - 1, 1, height_ratios=[3, 1.4, 1.1, 3, 1.4], hspace=0.12)
        axes = [figure.add_subplot(grid[row]) for row in (0, 1, 3, 4)]
        for (name, title), above, below in zip(SHOWN.items(), axes[::2], axes[1::2], strict=True):
            values, label = series[name]
            found = score_series(values)
            edges = np.diff(np.concatenate([[0], label, [0]]))
            for first, stop in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
                for axis in (above, below):
                    axis.axvspan(first, stop, color=CLASSES[8], alpha=0.35, lw=0)
            above.plot(values, color=INK, lw=0.4)
            above.set_title(title, loc="left")
            below.plot(found.score, color=ACCENT, lw=0.8)
            below.axhline(found.threshold, color=MUTED, lw=0.6, ls=":")
            below.set_ylabel("score")
            for axis in (above, below):
                axis.set_xlim(0, len(values))
            above.set_xticks([])
        axes[-1].set_xlabel("step; yellow: labelled as unusual by people; dotted: the threshold")
        figure.subplots_adjust(left=0.07, right=0.98, top=0.94, bottom=0.1)
        save(figure, PICTURE, force=True)


if __name__ == "__main__":
    main()
