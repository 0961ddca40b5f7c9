"""What a training says of itself in the files of its run: run.json, metrics.jsonl, the header of a checkpoint."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from diffcli import plugins
from diffcli.training.families.base import Look
from diffcli.training.progress import Progress
from diffcli.training.recipes import to_dict

if TYPE_CHECKING:
    from diffcli.runs.session import Session


def plugins_of(session: "Session") -> list[plugins.Plugin]:
    """The files that the recipe names."""
    return [plugin for plugin in plugins.loaded() if str(plugin.path) in session.recipe.impl]


def facts(session: "Session") -> dict[str, Any]:
    """What run.json says beside argv and versions."""
    return {
        "family": session.family.name,
        "seed": session.recipe.seed,
        "device": str(session.device),
        "precision": session.precision,
        "ranks": session.group.count,
        "threads": torch.get_num_threads(),
        "data": session.dataset.fingerprint,
        "images": len(session.places),
        "validation_images": len(session.held),
        "notes": list(session.dataset.notes),
        **({"base": session.based} if session.based else {}),
        "impl": {plugin.path.name: plugin.digest for plugin in plugins_of(session)},
        "status": "running",
    }


def about(session: "Session", averaged: Callable[[], Any]) -> dict[str, Any]:
    """What the header of a checkpoint says beside step and plan. averaged: the model that is saved"""
    items = session.dataset.items
    return {
        "family": session.family.name,
        "recipe": to_dict(session.recipe),
        "impl": [plugin.document for plugin in plugins_of(session)],
        "kind": items.kind.name,
        "shape": list(items.shape),
        "classes": list(items.classes),
        "range": str(items.spans or ""),
        **({"patients": True} if items.patients else {}),
        "holdout": session.holdout,
        "data": session.dataset.fingerprint,
        "threads": torch.get_num_threads(),
        "ranks": session.group.count,
        "micro_batch": session.trainer.micro,
        "seconds": session.clock.used,
        "validation_loss": session.look.validation_loss if session.look else None,
        **({"base": session.based} if session.based else {}),
        **({"codec": session.codec.about} if session.codec else {}),
        **session.preview.about(averaged),
    }


def row(session: "Session", progress: Progress, look: Look | None) -> dict[str, Any]:
    """A line of metrics.jsonl. look: what a preview saw after this step"""
    found: dict[str, Any] = {
        "step": progress.step,
        "images": progress.step * session.recipe.batch,
        "seconds": round(session.clock.used, 2),
        "loss": session.loss,
        "gradient_norm": progress.gradient_norm,
        "scale": progress.scale,
        **({"micro_batch": session.trainer.micro} if session.trainer.micro else {}),
    }
    if look:
        found |= {
            "validation_loss": look.validation_loss,
            "linear_denoiser_loss": look.linear_loss,
            **look.row,
        }
    return found
