"""People, videos and copies of pictures: rows that splits and folds must not separate."""
