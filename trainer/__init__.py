"""The trial program: fine-tunes one model with one set of hyperparameters and says how good it is.

It knows nothing of the bot: the two meet in a command line (`trainer/config.py`), in lines of text
(`trainer/metrics.py`) and in `result.json` (`trainer/result.py`).
"""
