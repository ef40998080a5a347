"""Other servers with the same model, as their own pages say to run them, with two workers. Each has an environment of
its own below .venv-bench, which .ci/bench-app makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from tests.app import processes

ENVIRONMENTS = processes.ROOT / ".venv-bench"

_MODEL = """
import joblib, sys
from sklearn.linear_model import LinearRegression

low, high, at_low, at_high = map(float, sys.argv[2:])
joblib.dump(LinearRegression().fit([[low], [high]], [at_low, at_high]), sys.argv[1])
"""

_FASTAPI = """
import joblib
from fastapi import FastAPI
from pydantic import BaseModel

app, model = FastAPI(), joblib.load("model.joblib")


class Asked(BaseModel):
    heights: list[float]


@app.post("/predict")
def predict(asked: Asked) -> dict[str, list[float]]:
    return {"weights": model.predict([[height] for height in asked.heights]).tolist()}
"""

_BENTOML = """
import bentoml
import joblib


@bentoml.service(workers=2)
class Weights:
    def __init__(self) -> None:
        self.model = joblib.load("model.joblib")

    @bentoml.api
    def predict(self, heights: list[float]) -> list[float]:
        return self.model.predict([[height] for height in heights]).tolist()
"""


class Peer(NamedTuple):
    """How a server is run and asked."""

    name: str
    package: str  # whose version is shown
    environment: str
    path: str
    command: list[str]  # a program of its environment

    def body(self, heights: list[float]) -> bytes:
        """What it is asked."""
        if self.environment == "mlserver":
            shape = [len(heights), 1]
            tensor = {"name": "heights", "shape": shape, "datatype": "FP64", "data": heights}
            return json.dumps({"inputs": [tensor]}).encode()
        return json.dumps({"heights": heights}).encode()

    def weights(self, answer: Any) -> list[float]:
        """What it answered."""
        if self.environment == "mlserver":
            return list(answer["outputs"][0]["data"])
        return list(answer if self.environment == "bentoml" else answer["weights"])

    @property
    def folder(self) -> Path:
        """Its environment."""
        return ENVIRONMENTS / self.environment


def prepare(folder: Path, port: int) -> list[Peer]:
    """Writes what the servers need into `folder`; those whose environment is there, on `port`."""
    (folder / "make_model.py").write_text(_MODEL)
    (folder / "fast.py").write_text(_FASTAPI)
    (folder / "bento.py").write_text(_BENTOML)
    settings = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2, "parallel_workers": 2}
    (folder / "settings.json").write_text(json.dumps({**settings, "host": "127.0.0.1", "debug": False}))
    model = {"name": "weights", "implementation": "mlserver_sklearn.SKLearnModel"}
    (folder / "model-settings.json").write_text(json.dumps({**model, "parameters": {"uri": "./model.joblib"}}))
    uvicorn = ["uvicorn", "fast:app", "--port", str(port), "--workers", "2", "--no-access-log"]
    bentoml = ["bentoml", "serve", "bento:Weights", "--host", "127.0.0.1", "--port", str(port)]
    mlserver = ["mlserver", "start", "."]
    found = [
        Peer("MLServer", "mlserver", "mlserver", "/v2/models/weights/infer", mlserver),
        Peer("BentoML", "bentoml", "bentoml", "/predict", bentoml),
        Peer("FastAPI + scikit-learn", "fastapi", "fastapi", "/predict", uvicorn),
    ]
    return [peer for peer in found if (peer.folder / "bin/python").exists()]
