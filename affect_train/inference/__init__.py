"""A model's outputs for rows or pictures: logits, stored features, predictions."""
