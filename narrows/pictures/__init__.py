"""Pictures for papers, READMEs and reports: functions from arrays to a `matplotlib.figure.Figure`.

====================  ======================================================================
`reconstructions`     originals above their reconstructions, with the error of each
`rows`                the same for any number of labelled rows: original, noisy, restored, …
`filters`             the weights of a layer, tiled; `tile_raster` gives the bare array
`grid`                any number of records, tiled or as small curves
`series`              series in several states over time, a panel for each channel
`maps`                two-dimensional codes side by side, coloured by label
`curves`              loss and learning rate over the epochs, of one run or several
`spreads`             means with their spread over a few named steps, in panels
`confusion`           how often each class is taken for each other one
`save`                a figure as PNG, SVG or PDF, written atomically
====================  ======================================================================

No function changes Matplotlib's global state, and Matplotlib is imported only when a picture is drawn.
"""

from narrows.pictures.confusions import confusion
from narrows.pictures.curves import curves
from narrows.pictures.filters import filters
from narrows.pictures.grids import grid
from narrows.pictures.maps import maps
from narrows.pictures.reconstructions import reconstructions
from narrows.pictures.rows import rows
from narrows.pictures.saving import save
from narrows.pictures.series import series
from narrows.pictures.spreads import spreads
from narrows.pictures.tiling import tile_raster

__all__ = [
    "confusion",
    "curves",
    "filters",
    "grid",
    "maps",
    "reconstructions",
    "rows",
    "save",
    "series",
    "spreads",
    "tile_raster",
]
