"""Models on the Hub: published from a run, and used by people who have transformers, or only onnxruntime.

Importing it lets ``AutoModel`` and ``AutoImageProcessor`` of transformers load what `affect-train publish` made.
"""

from affect_train.hub.processor import AffectImageProcessor

__all__ = ["AffectImageProcessor"]
