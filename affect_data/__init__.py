"""affect_data: official folders of facial-affect databases become one Hugging Face dataset, with a mask for every label."""
