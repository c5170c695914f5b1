"""A map of records as one page for browsers, which opens offline and loads nothing.

`page` puts the parts together: the files of ``assets``, which are plain HTML, CSS and JavaScript, and what they show.
`payload` holds that as JSON and base64, `sprites` makes sheets of thumbnails, and `shown_records` chooses how a record
is shown: as an image, a line, a text, or a row of values.
"""

from narrows.pictures.map_page.page import PageView, map_page

__all__ = ["PageView", "map_page"]
