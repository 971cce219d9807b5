"""What processes of tests have done before they start: transformers has compiled what it compiles at the first model that is loaded."""

from transformers.conversion_mapping import get_checkpoint_conversion_mapping

get_checkpoint_conversion_mapping("vit")
