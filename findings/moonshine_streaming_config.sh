#!/usr/bin/env bash
# A default MoonshineStreamingConfig does not build the model that its own documentation builds from it.
#
# Guess before: `MoonshineStreamingModel(MoonshineStreamingConfig())`, the example of the class's docstring, gives a model
# with random weights, as every other speech family of transformers does.
# Seen, transformers 5.23.0 with torch 2.13.0: AttributeError, 'MoonshineStreamingConfig' object has no attribute
# 'num_key_value_heads': the decoder asks for it and the config has no default. With num_key_value_heads given, the same
# call works. Whoever tests or draws random weights of this family has to give it.
#
# Exit code 0: as described. 1: it changed. Needs python3 and pip; works in a temporary folder.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q "torch==2.13.0" "transformers==5.23.0"
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import transformers
from transformers import MoonshineStreamingConfig, MoonshineStreamingModel

print("transformers", transformers.__version__)
try:
    MoonshineStreamingModel(MoonshineStreamingConfig())
    sys.exit("changed: the default config builds a model now")
except AttributeError as error:
    print("default config:", error)
    if "num_key_value_heads" not in str(error):
        sys.exit("changed: another attribute is missing")
small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
encoder = {**small, "num_key_value_heads": 4, "sliding_windows": [[16, 4]]}
model = MoonshineStreamingModel(MoonshineStreamingConfig(**small, num_key_value_heads=4, encoder_config=encoder))
print("with num_key_value_heads:", sum(p.numel() for p in model.parameters()), "parameters")
PYTHON
