"""One line that sets a notebook up: which parts, from where, in what order, with what end.

It knows neither IPython nor the features: those who call it bring the parts along.
"""
