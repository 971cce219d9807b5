"""Work that processes of tests inherit: transformers has compiled what it compiles when the first model is loaded."""

from transformers.conversion_mapping import get_checkpoint_conversion_mapping

get_checkpoint_conversion_mapping("vit")
