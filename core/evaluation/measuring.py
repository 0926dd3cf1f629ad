"""Measuring from a page: in the background, behind the people who wait for answers."""

from __future__ import annotations

from dataclasses import replace

from core.evaluation.bench import LiveRun
from core.evaluation.dataset import Dataset
from core.evaluation.run import Spec, evaluate
from core.services import Services


def begin(services: Services, dataset: Dataset, spec: Spec) -> LiveRun:
    """Start a measurement and return at once. Raises Conflict while another one goes on."""

    def work(live: LiveRun) -> None:
        live.run_id = evaluate(services, dataset, replace(spec, behind=True), live, cancel=live.cancel).run_id

    return services.evaluations.start(dataset.name, work)
