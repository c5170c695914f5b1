"""The estimators of scikit-learn: parameters, what "auto" chooses, recipes, and fitting."""
