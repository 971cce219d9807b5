"""What ties rows together, so that splits and folds must not tear it apart: people, videos, copies of pictures."""
