"""Fields: coding of arrays by interpolation between known values, level by level, without a model."""
