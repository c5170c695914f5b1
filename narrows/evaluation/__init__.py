"""How good a model is: numbers, what they are compared with, and the page that shows them."""
