"""A small model: will a flight arrive more than 15 minutes late?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import brier_score_loss, roc_auc_score

if TYPE_CHECKING:
    import pandas as pd

FEATURES = [
    *("hour", "weekday", "carrier", "origin", "distance"),
    *("temperature_c", "wind_kmh", "rain_mm", "visibility_km"),
]
QUERY = """
    SELECT month, hour, extract(isodow FROM flight_date) AS weekday, carrier, origin, distance,
        temperature_c, wind_kmh, rain_mm, visibility_km, is_late
    FROM flight_delays WHERE arr_delay IS NOT NULL ORDER BY flight_id
"""
#: The model is trained on the months up to this one, and tested on the others.
LAST_MONTH = 10
PARAMETERS: dict[str, Any] = {"max_iter": 80, "learning_rate": 0.1, "random_state": 13}
#: MLflow's default format doesn't know this model's trees.
FORMAT = {"serialization_format": "cloudpickle"}


def learn(flights: pd.DataFrame) -> HistGradientBoostingClassifier:
    """Return a model trained on the first months."""
    known = flights[flights["month"] <= LAST_MONTH]
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", **PARAMETERS)
    return model.fit(_select_features(known), known["is_late"].astype(bool))


def evaluate(model: HistGradientBoostingClassifier, flights: pd.DataFrame) -> dict[str, Any]:
    """Return how well a model predicts the last months."""
    unseen = flights[flights["month"] > LAST_MONTH]
    features, late = _select_features(unseen), unseen["is_late"].astype(bool).to_numpy()
    predicted = model.predict_proba(features)[:, 1]
    return {
        "tested": len(unseen),
        "auc": float(roc_auc_score(late, predicted)),
        "brier": float(brier_score_loss(late, predicted)),
        "brier_of_average": float(brier_score_loss(late, np.full(len(late), late.mean()))),
        "calibration": _calibrate(late, predicted),
        "importances": _rank_features(model, features, late),
    }


def _select_features(flights: pd.DataFrame) -> pd.DataFrame:
    """Return the features of the model; text columns become categories."""
    return flights[FEATURES].astype({"carrier": "category", "origin": "category"})


def _calibrate(late: np.ndarray, predicted: np.ndarray) -> list[dict[str, float]]:
    parts = np.array_split(np.argsort(predicted), 10)
    return [
        {"predicted": float(predicted[part].mean()), "observed": float(late[part].mean())}
        for part in parts
    ]


def _rank_features(
    model: HistGradientBoostingClassifier, features: pd.DataFrame, late: np.ndarray
) -> list[dict[str, Any]]:
    some = np.random.default_rng(13).choice(len(features), size=4000, replace=False)
    found = permutation_importance(
        model, features.iloc[some], late[some], scoring="roc_auc", n_repeats=3, random_state=13
    )
    rows = zip(features.columns, found.importances_mean, strict=True)
    return sorted(
        ({"feature": name, "loss": float(loss)} for name, loss in rows),
        key=lambda row: -float(row["loss"]),
    )
