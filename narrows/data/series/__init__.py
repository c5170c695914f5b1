"""Series: values along time, with their times, and the windows that models take as records."""

from narrows.data.series.times import Times
from narrows.data.series.whole import WholeSeries
from narrows.data.series.windows import Windows

__all__ = ["Times", "WholeSeries", "Windows"]
