"""Choosing a plan for the columns of a table: relations, the order, predictions and contexts, by measured bits."""
