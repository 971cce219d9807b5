"""The face detectors, each a module; `registry` names them."""
