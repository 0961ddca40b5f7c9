"""When a run saves, and where a run by the clock ends. The only part of training that knows the time."""

import time
from collections.abc import Callable

from diffcli.training.trainer import Plan

SAVE_EVERY = 30.0  # seconds
FIRST_SAVE = 8.0  # seconds; the first seconds are slower than the rest, so the first plan is soon revised


class Clock:
    """Reads the time at checkpoints only: what it makes of it is in the plan, which the checkpoint stores.

    budget:  seconds for the whole run, or None where the recipe gives steps
    used:    seconds that earlier sessions of the run took
    since:   when this session began, by `now`
    every:   steps between checkpoints, or 0 for about 30 seconds
    """

    def __init__(
        self,
        budget: float | None,
        *,
        used: float = 0.0,
        since: float,
        every: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.budget, self.every, self.now = budget, every, now
        self.start = since - used
        self.overhead = 0.0  # seconds that saving and looking took last time
        self.saves = 0

    @property
    def used(self) -> float:
        """Seconds of the run so far, all sessions together."""
        return self.now() - self.start

    def begin(self, step: int, plan: Plan, seconds_per_step: float) -> Plan:
        """The first plan of a session, from a probe of the speed; a plan that stands already is kept."""
        self.mark, self.mark_step = self.now(), step
        if plan.total == 0:
            plan = Plan(max(1, step + self._steps_left(seconds_per_step)))
        pause = FIRST_SAVE if self.budget is None else min(FIRST_SAVE, max(0.0, self.budget - self.used) / 8)
        self.next_save = self._next(step, plan, pause / seconds_per_step)
        return plan

    def due(self, step: int) -> bool:
        """Whether a checkpoint is to be written after this step."""
        return step >= self.next_save

    def revise(self, step: int, plan: Plan) -> Plan:
        """The plan from here on, at the speed since the last checkpoint; call it before writing one."""
        seconds_per_step = (self.now() - self.mark) / max(1, step - self.mark_step)
        if self.budget is not None and step < plan.total:
            plan = plan.revised(step, step + self._steps_left(seconds_per_step))
        self.saving_since, self.saves = self.now(), self.saves + 1
        pause = SAVE_EVERY
        if self.budget is not None:  # look at the clock more often towards the end
            pause = min(SAVE_EVERY, max(1.0, (self.budget - self.used) / 2))
        self.next_save = self._next(step, plan, pause / seconds_per_step)
        return plan

    def saved(self, step: int, *, looked: bool) -> None:
        """The checkpoint is written; `looked` says whether a preview was made with it, as at the end."""
        if looked:
            self.overhead = self.now() - self.saving_since
        self.mark, self.mark_step = self.now(), step

    def _steps_left(self, seconds_per_step: float) -> int:
        assert self.budget is not None
        return max(0, int((self.budget - self.used - self.overhead) / seconds_per_step))

    def _next(self, step: int, plan: Plan, pace: float) -> int:
        """The step of the next checkpoint: as the recipe says; a run by the clock never looks away for longer."""
        steps = max(1, int(pace))
        if self.every:
            steps = self.every if self.budget is None else min(self.every, steps)
        return min(plan.total, step + steps)


def looks(save: int) -> bool:
    """Whether a preview goes with the n-th checkpoint: 1, 2, 4, 8 and then every eighth."""
    return save % 8 == 0 or save in (1, 2, 4)
