"""Detectors of outliers: records that cost much, and the values that they cost it for."""
