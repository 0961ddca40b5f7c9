"""What `finetune` says of a run that is complete: beside its beginning, and beside the same from scratch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffcli.commands.training_run import Ended

if TYPE_CHECKING:
    from diffcli.console.show import Show


def judged(
    ended: Ended, wanted: Mapping[str, Any], document: dict[str, Any], lines: list[str], show: "Show",
    again: Callable[[Any], Ended | None] | None,
) -> None:  # fmt: skip
    """Judge the run and what is beside it; what is found is added to the document and to the lines.

    wanted:  of `FineTuningOptions`; `diagnosis` may be None, which is for medical sets
    again:   trains another recipe as this one was trained; None where nothing is to be trained from scratch
    """
    from diffcli.data.published import clinical
    from diffcli.evaluation.finetuning import report, study
    from diffcli.runs.basing import from_scratch
    from diffcli.runs.folder import BEGIN
    from diffcli.system.text import duration

    session, folder, saved = ended
    assert session.based is not None
    base, said = session.based["from"], clinical(session.dataset.name, session.dataset.items)
    targets = {study.BEFORE: str(folder / BEGIN), study.AFTER: str(saved)}
    if again is not None:
        seconds = session.clock.used
        show.note(f"the same from scratch, for {duration(seconds)}")
        other = again(from_scratch(session.recipe, base, seconds))
        assert other is not None
        targets[study.SCRATCH] = str(other.saved)
        document["scratch"] = str(other.folder)
    diagnosis = bool(said) if wanted["diagnosis"] is None else wanted["diagnosis"]
    asked = study.FineTuningOptions(**{**wanted, "diagnosis": diagnosis})
    found = study.compared(
        {name: target for name, target in targets.items() if Path(target).exists()}, base, asked, show
    )
    document["judged"] = report.document_of(found)
    at = next((i for i, line in enumerate(lines) if line.startswith("checkpoint:")), len(lines))
    lines[at:at] = [*report.lines_of(found), *([said] if said else []), ""]
