"""The residual: codes the difference between records and the model's output, losslessly or within an error bound."""
