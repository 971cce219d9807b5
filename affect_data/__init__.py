"""affect_data: official folders of facial-affect databases become one Hugging Face dataset, with a mask for every label."""

from affect_data.store import load_dataset

__all__ = ["load_dataset"]
