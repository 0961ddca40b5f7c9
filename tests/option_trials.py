"""A command tried with some of its options: refused, idle, or counting."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import typer.main
from option_examples import GENERAL, HARMLESS, SCENES
from outcomes import Bench, Outcome

from diffcli.cli import app

USAGE = 2
Options = dict[str, Any]


def commands(command: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    command = command or typer.main.get_command(app)
    below = getattr(command, "commands", {})
    if words and (not below or command.invoke_without_command):
        yield " ".join(words), command
    for name, one in below.items():
        yield from commands(one, (*words, name))


COMMANDS = dict(commands())


class Refused(NamedTuple):
    """How a command ended that did nothing, and what it said."""

    code: int
    said: str


class Tried:
    """A command in its scene. Options are by parameter; what was run once is remembered."""

    def __init__(self, name: str, bench: Bench) -> None:
        self.name, self.bench, self.scene = name, bench, SCENES[name]
        self.flags = {p.name: p for p in COMMANDS[name].params if p.param_type_name == "option" and p.name != "help"}
        self.echoes = {word.replace("-", "_") for word in self.flags} | {
            flag.lstrip("-").replace("-", "_") for p in self.flags.values() for flag in p.opts
        }
        self.remembered: dict[str, Outcome | Refused] = {}

    def run(self, options: Options) -> Outcome | Refused:
        """What the command comes to with these options."""
        words = [word for name, value in options.items() for word in self.words(name, value)]
        key = " ".join(sorted(words))
        if key not in self.remembered:
            arguments = [*self.name.split(), *words, *self.scene.arguments.split()]
            result, outcome = self.bench(arguments, self.echoes)
            self.remembered[key] = outcome or Refused(result.code, result.err)
        return self.remembered[key]

    def words(self, name: str, value: Any) -> list[str]:
        """An option as it is written."""
        flag = self.flags[name]
        if isinstance(value, bool):
            return [flag.opts[0] if value else flag.secondary_opts[0]]
        return [flag.opts[0], str(value)]

    def example(self, name: str, beside: str = "") -> Any:
        """A value that is not the usual one."""
        if (name, beside) in self.scene.beside:
            return self.scene.beside[name, beside]
        flag = self.flags[name].opts[0].removeprefix("--").replace("-", "_")
        found = self.scene.examples.get(name, GENERAL.get(flag))
        if found is not None:
            return found
        assert self.flags[name].is_flag, (
            f"{self.name} {self.flags[name].opts[0]} needs an example in option_examples.py"
        )
        return True

    def together(self, *names: str) -> Options:
        """These options, with all that they need."""
        found = {k: v for k, v in self.scene.base.items() if not any(k in self.scene.without.get(n, ()) for n in names)}
        for name in names:
            found |= self.scene.needs.get(name, {})
        for name in names:
            others = [other for other in names if other != name]
            found[name] = self.example(name, next((o for o in others if (name, o) in self.scene.beside), ""))
        return found

    def without(self, options: Options, name: str) -> Options:
        """The options but one, which has the value of the base again where it has one."""
        unwanted = any(name in self.scene.without.get(other, ()) for other in options)
        base = {} if unwanted else {k: v for k, v in self.scene.base.items() if k == name}
        return {k: v for k, v in options.items() if k != name} | base

    def named(self, said: str, names: tuple[str, ...]) -> bool:
        """Whether a refusal names one of these options."""
        spelled = [flag.lstrip("-") for name in names for flag in (*self.flags[name].opts, name)]
        return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w])", said.replace("--", "")) for word in spelled)

    def kept(self) -> list[str]:
        """As many options as go together: of those that a refusal names the last is left out, until none is refused."""
        names = list(self.flags)
        while isinstance(ended := self.run(self.together(*names)), Refused):
            said = ended.said
            flags = [n for n in names if re.search(rf"{re.escape(self.flags[n].opts[0])}(?![\w-])", said)]
            at_fault = flags or [n for n in names if self.named(said, (n,))]
            assert ended.code == USAGE and at_fault, f"{self.name}, refused without the name of an option: {said}"
            lost = at_fault[-1]
            names = [n for n in names if n != lost and lost not in self.scene.needs.get(n, {})]
        return names

    def harmless(self, *names: str) -> bool:
        """Whether it is known, with a reason, that one of these may change nothing."""
        return any(set(key[1:]) <= set(names) for key in HARMLESS if key[0] == self.name)

    def check(self, *names: str) -> str:
        """What is wrong with two options together; "" if they are refused, or both count."""
        options = self.together(*names)
        both = self.run(options)
        written = " ".join(word for name in names for word in self.words(name, options[name]))
        if isinstance(both, Refused):
            needed = [other for name in names for other in self.scene.needs.get(name, ())]
            named = both.code == USAGE and self.named(both.said, (*names, *needed))
            return "" if named else f"{self.name} {written}: refused without a word of either: {both.said}"
        idle = [name for name in names if self.run(self.without(options, name)) == both]
        if not idle or self.harmless(*names):
            return ""
        return f"{self.name} {written}: {' and '.join(self.flags[n].opts[0] for n in idle)} changes nothing"
