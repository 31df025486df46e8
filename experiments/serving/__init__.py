"""The model that MLflow keeps for use elsewhere: from raw inputs to labels and probabilities.

- `settings`: what the model must know of its study, as a JSON file beside the network.
- `served_model`: the code that is kept with the model. It imports nothing of this project.
- `requirements`: the packages that it needs.
- `model_folder`: writes all of it.
"""
